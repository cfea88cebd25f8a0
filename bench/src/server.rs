//! The floors: what HTTP alone costs, and what HTTP with typed JSON and the same model costs. Both are plain axum servers on
//! tokio's default runtime, as anybody would write them; they record nothing, check no key and explain nothing.

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, body::Bytes, extract::State, http::StatusCode, routing::post, serve::ListenerExt};
use tendon_kernel::sockets::model::{Matrix, Model};

use crate::{Res, request::FEATURES};

/// Where all floors answer.
pub(crate) const PATH: &str = "/floor";

/// What is asked: the same document that the real server gets.
#[derive(serde::Deserialize)]
struct Question {
    input: Input,
}

macro_rules! input {
    ($($name:ident)*) => {
        /// The input as a struct, so that serde parses it as fast as it can.
        #[derive(serde::Deserialize)]
        struct Input {
            id: String,
            $($name: f64,)*
        }

        impl Input {
            fn features(&self) -> [f64; FEATURES] {
                [$(self.$name),*]
            }
        }
    };
}

input!(f00 f01 f02 f03 f04 f05 f06 f07 f08 f09 f10 f11 f12 f13 f14 f15
       f16 f17 f18 f19 f20 f21 f22 f23 f24 f25 f26 f27 f28 f29 f30 f31);

/// What is answered.
#[derive(serde::Serialize)]
struct Answer {
    subject: String,
    output: f64,
    band: &'static str,
}

/// Serves `echo` or `floor` until it is killed.
pub(crate) fn serve(mode: &str, listen: SocketAddr, model: Option<&str>) -> Res<()> {
    let app = match (mode, model) {
        ("echo", _) => Router::new().route(PATH, post(|body: Bytes| async { body })),
        ("floor", Some(path)) => {
            let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
            let (_, model) = tendon_models::load(Some(path), &bytes).map_err(|error| format!("{error:?}"))?;
            Router::new().route(PATH, post(answer)).with_state(model)
        }
        _ => return Err(format!("there is no floor `{mode}`, or it needs a model")),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| error.to_string())?;
        axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), app)
            .await
            .map_err(|error| error.to_string())
    })
}

async fn answer(
    State(model): State<Arc<dyn Model>>,
    Json(question): Json<Question>,
) -> Result<Json<Answer>, StatusCode> {
    let rows = Matrix { values: question.input.features().to_vec(), columns: FEATURES };
    let outputs = model.predict(&rows).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)?;
    let output = outputs.first().copied().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
    let band = if output >= 0.7 {
        "green"
    } else if output >= 0.4 {
        "yellow"
    } else {
        "red"
    };
    Ok(Json(Answer { subject: question.input.id, output, band }))
}
