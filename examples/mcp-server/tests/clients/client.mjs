// Drives an official TypeScript client, which is in the package that is named first. Each line of
// standard input is something to do, and each line of standard output what came of it.
import { createInterface } from 'node:readline';

const { client: name, url, token, command, args, env } = JSON.parse(process.argv[2]);
const { Client, StreamableHTTPClientTransport, StdioClientTransport } =
    name === 'sdk'
        ? {
              ...(await import('@modelcontextprotocol/sdk/client/index.js')),
              ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
              ...(await import('@modelcontextprotocol/sdk/client/stdio.js')),
          }
        : {
              ...(await import('@modelcontextprotocol/client')),
              ...(await import('@modelcontextprotocol/client/stdio')),
          };

const headers = { Authorization: `Bearer ${token}` };
const transport = url
    ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
    : new StdioClientTransport({ command, args, env: { ...process.env, ...env }, stderr: 'inherit' });
const client = new Client({ name: 'test', version: '1' });

const todo = {
    connect: () => client.connect(transport).then(() => transport.sessionId ?? null),
    list: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: ({ tool, args }) => client.callTool({ name: tool, arguments: args }),
    // The same object is read for each request.
    token: async ({ token }) => void (headers.Authorization = `Bearer ${token}`),
};

for await (const line of createInterface({ input: process.stdin })) {
    const step = JSON.parse(line);
    const result = await todo[step.do](step).then(
        (ok) => ({ ok: ok ?? null }),
        (error) => ({ error: String(error.message ?? error) }),
    );
    process.stdout.write(JSON.stringify(result) + '\n');
}
await client.close();
process.exit(0);
