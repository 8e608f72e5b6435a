//! Two tenants at once, of whom each tries whatever comes to mind, with all that it could have
//! learned of the other: nothing of the other's is ever seen.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{
    RngExt, SeedableRng,
    rngs::{SmallRng, SysRng},
    seq::IndexedRandom,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{rig::Rig, util::say, wire::Caller};

/// What somebody could have learned of both, in the order of `PROJECTS`.
type Learned = [Arc<Mutex<Vec<String>>>; 2];

const PROJECTS: [&str; 2] = ["demo", "other"];

struct Tenant {
    number: usize,
    callers: Vec<Caller>,
    /// Each with the caller that opened it.
    sessions: Vec<(usize, String)>,
    /// Of sessions.
    ids: Learned,
    /// Of what was sent.
    events: Learned,
    /// What the other's answers would have in them.
    foreign: Vec<String>,
    seed: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_project_is_visible_to_the_other() {
    const STEPS: usize = 400;

    let seed: u64 = SmallRng::try_from_rng(&mut SysRng).expect("randomness").random();
    say(&format!("seed {seed}"));
    let rig = Rig::new();
    let server = rig.serve();
    let (ids, events) = (Learned::default(), Learned::default());
    let mut tenants = Vec::new();
    let mut known = Vec::new();
    for (number, project) in PROJECTS.into_iter().enumerate() {
        let mut callers = Vec::new();
        let mut own = vec![format!("{project}word"), format!("{project}.md")];
        for scopes in ["sources:read flows:run", "sources:read", "flows:run", ""] {
            let created = rig.create_in(project, scopes).await;
            own.push(created.record.id.to_string());
            callers.push(Caller::new(&server.url, created.token.expose_secret()));
        }
        known.push(own);
        let (ids, events) = (ids.clone(), events.clone());
        let seed = seed.wrapping_add(number as u64);
        tenants.push(Tenant {
            number,
            callers,
            sessions: Vec::new(),
            ids,
            events,
            foreign: Vec::new(),
            seed,
        });
    }
    known.reverse();
    for (tenant, foreign) in tenants.iter_mut().zip(known) {
        tenant.foreign = foreign;
    }
    let running: Vec<_> =
        tenants.into_iter().map(|tenant| tokio::spawn(tenant.run(STEPS))).collect();
    for tenant in running {
        tenant.await.expect("nothing of the other's");
    }
}

impl Tenant {
    async fn run(mut self, steps: usize) {
        let mut rng = SmallRng::seed_from_u64(self.seed);
        let mut streams = Vec::new();
        for _ in 0..steps {
            let number = rng.random_range(0..self.callers.len());
            let caller = self.callers[number].clone();
            match rng.random_range(0..10) {
                0 => {
                    let id = caller.open().await;
                    self.ids[self.number].lock().expect("a lock").push(id.clone());
                    self.sessions.push((number, id));
                }
                1 => {
                    if let Some((number, id)) = self.sessions.choose(&mut rng) {
                        streams.push(self.callers[*number].stream(id).await);
                    }
                }
                2 if self.sessions.len() > 2 => {
                    let (number, id) = self.sessions.swap_remove(0);
                    let caller = &self.callers[number];
                    let deleted = caller.send(Method::DELETE, Some(&id), &Value::Null).await;
                    assert!(deleted.status().is_success(), "its own: {}", deleted.status());
                }
                3..6 => self.try_the_others_session(&caller, &mut rng).await,
                6 => self.resume(&mut rng).await,
                _ => self.use_its_own(&mut rng).await,
            }
        }
        for (number, id) in &self.sessions {
            let (status, _) = self.callers[*number].request(id, "ping", &json!({})).await;
            assert_eq!(status, 200, "nobody has harmed it");
        }
        for mut stream in streams {
            self.read_what_came(&mut stream).await;
        }
    }

    /// All methods, resumption among them.
    async fn try_the_others_session(&self, caller: &Caller, rng: &mut SmallRng) {
        let ids = self.ids[1 - self.number].lock().expect("a lock").clone();
        let Some(id) = ids.choose(rng) else { return };
        let method = [Method::POST, Method::GET, Method::DELETE].choose(rng).expect("one").clone();
        let body = json!({
            "jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": { "name": "search_sources", "arguments": { "query": "word" } },
        });
        let request = caller
            .http
            .request(method.clone(), &caller.url)
            .bearer_auth(&caller.token)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-session-id", id)
            .header("last-event-id", "0")
            .json(&body);
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{method}");
        self.assert_own(&response.text().await.expect("a text"));
    }

    /// Asks for what only the other has.
    async fn use_its_own(&self, rng: &mut SmallRng) {
        let Some((number, id)) = self.sessions.choose(rng) else { return };
        let caller = &self.callers[*number];
        let words = ["demoword", "otherword", "Only word project", "demo other"];
        let query = *words.choose(rng).expect("one");
        let (method, params) = match rng.random_range(0..4) {
            0 => ("tools/list", json!({})),
            1 => ("tools/call", json!({ "name": "whoami" })),
            2 => (
                "tools/call",
                json!({ "name": "run_flow", "arguments": { "flow": "search", "query": query } }),
            ),
            _ => {
                ("tools/call", json!({ "name": "search_sources", "arguments": { "query": query } }))
            }
        };
        let (status, text) = caller.request(id, method, &params).await;
        assert_eq!(status, 200, "{text}");
        self.assert_own(&text);
        let events = text.lines().filter_map(|line| line.strip_prefix("id: "));
        let mut known = self.events[self.number].lock().expect("a lock");
        known.extend(events.map(str::to_owned));
    }

    /// Its own session, from what it or the other has been sent.
    async fn resume(&self, rng: &mut SmallRng) {
        let Some((number, id)) = self.sessions.choose(rng) else { return };
        let of = rng.random_range(0..2);
        let known = self.events[of].lock().expect("a lock").clone();
        let Some(event) = known.choose(rng) else { return };
        let caller = &self.callers[*number];
        let request = caller
            .http
            .get(&caller.url)
            .bearer_auth(&caller.token)
            .header("accept", "text/event-stream")
            .header("mcp-session-id", id)
            .header("last-event-id", event);
        let mut stream = request.send().await.expect("an answer");
        assert_eq!(stream.status(), StatusCode::OK);
        self.read_what_came(&mut stream).await;
    }

    async fn read_what_came(&self, stream: &mut Response) {
        const WAIT: Duration = Duration::from_millis(10);

        while let Ok(Ok(Some(chunk))) = timeout(WAIT, stream.chunk()).await {
            self.assert_own(&String::from_utf8_lossy(&chunk));
        }
    }

    fn assert_own(&self, text: &str) {
        for foreign in &self.foreign {
            assert!(!text.contains(foreign), "{foreign} in {text}");
        }
    }
}
