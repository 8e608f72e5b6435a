// Lets Better Auth make API keys in a database of its own, and prints what it stored.

import { createRequire } from "node:module";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import sqlite from "node-sqlite3-wasm";

const database = new sqlite.Database(":memory:");

/** What Kysely asks of a SQLite driver; this one needs no compiler. */
const driver = {
    aggregate() {},
    close: () => database.close(),
    prepare(sql) {
        const statement = database.prepare(sql);
        const once = (work) => (values) => {
            try {
                return work(values.map((value) => (value === undefined ? null : value)));
            } finally {
                statement.finalize();
            }
        };
        return {
            reader: /^\s*(select|with|pragma)|\breturning\b/i.test(sql),
            all: once((values) => statement.all(values)),
            run: once((values) => statement.run(values)),
        };
    },
};

const options = {
    baseURL: "http://localhost",
    secret: "a dummy secret of sufficient length for this",
    database: driver,
    emailAndPassword: { enabled: true },
    logger: { disabled: true },
    telemetry: { enabled: false },
    plugins: [apiKey()],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);

const { user } = await auth.api.signUpEmail({
    body: { name: "Ann", email: "ann@example.com", password: "a dummy password" },
});
const keys = new Map();
for (const prefix of [undefined, undefined, "shop_", "a-b_C"]) {
    const { id, key } = await auth.api.createApiKey({ body: { name: "key", userId: user.id, prefix } });
    for (const [text, expected] of [[key, true], [key + "x", false]]) {
        const { valid } = await auth.api.verifyApiKey({ body: { key: text } });
        if (valid !== expected) throw new Error(`Better Auth says ${valid}`);
    }
    keys.set(id, key);
}

const tokens = database
    .all("SELECT * FROM apikey")
    .map((row) => ({ token: keys.get(row.id), row }));
const require = createRequire(import.meta.url);
const made_by = Object.fromEntries(
    ["better-auth", "@better-auth/api-key"].map((name) => [name, version(name)]),
);
console.log(JSON.stringify({ made_by, tokens }, null, 2));

function version(name) {
    // Their manifests are not among what they export.
    const [entry] = require.resolve.paths(name).slice(0, 1);
    return require(`${entry}/${name}/package.json`).version;
}
