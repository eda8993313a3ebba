//! The limits of every exchange with the API.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full, Limited};
use kube::client::Body;
use thiserror::Error;
use tower::{BoxError, Layer, Service};

/// How long a request may take, its whole answer included. A watch has this long to begin.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The most bytes of one answer; a page of 500 secrets' metadata is far below.
pub const ANSWER_LIMIT: usize = 32 << 20;

/// The API did not answer in time.
#[derive(Debug, Error)]
#[error("no whole answer within {} s", DEADLINE.as_secs())]
pub(super) struct TooSlow;

/// Puts [`DEADLINE`] and [`ANSWER_LIMIT`] around a client's service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits;

impl<S> Layer<S> for Limits {
    type Service = Limiting<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limiting(inner)
    }
}

/// A service within limits: an answer is whole or an error, but for a watch, which streams.
#[derive(Clone, Debug)]
pub(super) struct Limiting<S>(S);

type Answer<B> = Response<Either<Full<Bytes>, B>>;

impl<S, B> Service<Request<Body>> for Limiting<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let streams = is_watch(&request);
        let answer = self.0.call(request);
        Box::pin(async move {
            let whole = async {
                let answer = answer.await?;
                if streams && answer.status().is_success() {
                    return Ok(answer.map(Either::Right));
                }
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, ANSWER_LIMIT).collect().await?;
                Ok(Response::from_parts(
                    parts,
                    Either::Left(Full::new(body.to_bytes())),
                ))
            };
            match tokio::time::timeout(DEADLINE, whole).await {
                Ok(answer) => answer,
                Err(_) => Err(Box::new(TooSlow) as BoxError),
            }
        })
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair == "watch=true")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tower::{ServiceExt, service_fn};

    use super::*;

    type Body_ = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

    /// What the API sends, and whether it then goes on without an end.
    async fn ask(uri: &str, chunk: usize, chunks: usize, hangs: bool) -> Result<usize, BoxError> {
        let service = service_fn(move |_: Request<Body>| async move {
            let frames = (0..chunks).map(move |_| Ok(Frame::data(Bytes::from(vec![b'x'; chunk]))));
            let sent = stream::iter(frames);
            let body: stream::BoxStream<'static, _> = if hangs {
                Box::pin(futures::StreamExt::chain(sent, stream::pending()))
            } else {
                Box::pin(sent)
            };
            Ok::<_, BoxError>(Response::new(Body_::new(body)))
        });
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let answer = Limits.layer(service).oneshot(request).await?;
        let mut body = answer.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.into_data().map_or(0, |data| data.len());
            if hangs {
                break;
            }
        }
        Ok(length)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_whole_in_time_and_small_enough() {
        assert_eq!(ask("/api/v1/namespaces", 1024, 3, false).await.unwrap(), 3072);

        let before = tokio::time::Instant::now();
        let error = ask("/api/v1/namespaces", 1024, 3, true).await.unwrap_err();
        assert_eq!(error.to_string(), "no whole answer within 10 s");
        assert_eq!(before.elapsed(), DEADLINE);

        let error = ask("/api/v1/namespaces", 8 << 20, 5, false).await.unwrap_err();
        assert_eq!(error.to_string(), "length limit exceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_streams() {
        let before = tokio::time::Instant::now();
        let seen = ask("/api/v1/namespaces?limit=1&watch=true", 1024, 1, true).await;
        assert_eq!((seen.unwrap(), before.elapsed()), (1024, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_that_says_nothing_is_given_up() {
        let service =
            service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Full<Bytes>>, BoxError>>());
        for uri in ["/version", "/api/v1/namespaces?watch=true"] {
            let request = Request::get(uri).body(Body::empty()).unwrap();
            let error = Limits.layer(service).oneshot(request).await.unwrap_err();
            assert!(error.is::<TooSlow>(), "{uri}: {error}");
        }
    }
}
