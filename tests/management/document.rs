//! The OpenAPI document, and whether it says what is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{Answer, Call, Service};

pub(crate) async fn document(service: &Service) -> Value {
    service.send(Call::new("GET", "/settings/api/openapi.json").text("")).await.ok(200)
}

/// Each path with its methods.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(|(method, it)| (method.to_uppercase(), path.clone(), it))
        })
        .collect()
}

#[tokio::test]
async fn it_is_openapi_3_1_for_where_it_is_mounted() {
    let document = document(&Service::new()).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{document}");
    assert_eq!(document["servers"], json!([{"url": "/settings/api"}]));
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(*schemes, json!({"token": {"type": "http", "scheme": "bearer"}}));
    let ids: BTreeSet<_> = operations(&document)
        .iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), operations(&document).len(), "each has a name of its own");
    assert_eq!(ids.len(), 18);
}

/// No path or method is described that is not there, nor one there that is not described.
#[tokio::test]
async fn it_describes_what_is_there() {
    let service = Service::new();
    let document = document(&service).await;
    let described: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    for (_, path, _) in operations(&document) {
        let url = path.replace("{project}", "acme").replace("{id}", "aaaaaaaaaaaaaaaa");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = service.ann(method, &format!("/settings/api{url}"), Value::Null).await;
            let exists = answer.status != 405;
            let is_described = described.contains(&(method.to_owned(), path.clone()));
            assert_eq!(exists, is_described, "{method} {path}: {answer:?}");
        }
    }
}

/// Whoever reads a body's schema knows all members, and that there are no others.
#[tokio::test]
async fn the_schemas_of_bodies_are_closed() {
    let service = Service::new();
    let document = document(&service).await;
    let schemas = &document["components"]["schemas"];
    for (name, path) in [
        ("CreateToken", "/settings/api/projects/acme/tokens"),
        ("RotateToken", "/settings/api/projects/acme/tokens/aaaaaaaaaaaaaaaa/rotate"),
        ("RevokeTokens", "/settings/api/projects/acme/revocations"),
        ("EditToken", "/settings/api/projects/acme/tokens/aaaaaaaaaaaaaaaa"),
    ] {
        let schema = &schemas[name];
        assert_eq!(schema["additionalProperties"], false, "{name}");
        let method = if name == "EditToken" { "PATCH" } else { "POST" };
        let answer = service.ann(method, path, json!({"no_such_member": 1})).await;
        let known = known(&answer);
        let described: BTreeSet<String> =
            schema["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(known, described, "{name}");
    }
    assert_eq!(schemas["CreateToken"]["required"], json!(["name"]));
    for name in ["EditToken", "RotateToken", "RevokeTokens"] {
        assert_eq!(schemas[name]["required"], Value::Null, "{name}");
    }
}

/// The names that a refusal of an unknown one tells.
fn known(answer: &Answer) -> BTreeSet<String> {
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    let (_, known) = detail.rsplit_once("known are: ").unwrap();
    known.split(", ").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_parameters_of_urls_are_known() {
    let service = Service::new();
    let document = document(&service).await;
    let mut count = 0;
    for (method, path, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_query = parameters.filter(|parameter| parameter["in"] == "query");
        let described: BTreeSet<String> =
            in_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
        if described.is_empty() {
            continue;
        }
        let url = path.replace("{project}", "acme").replace("{id}", "aaaaaaaaaaaaaaaa");
        let url = format!("/settings/api{url}?no_such_parameter=1");
        assert_eq!(known(&service.ann(&method, &url, Value::Null).await), described, "{path}");
        count += 1;
    }
    assert_eq!(count, 3, "list, events, revoke");
}
