//! The only place of the node that uses the network: GET and POST of small bodies, over HTTP or TLS.
//!
//! A server is not trusted with anything: answers are bounded, requests end after [`TIMEOUT`], redirects are not
//! followed (a witness or a log is where its policy says), and what is read is verified by whoever asked. TLS trusts
//! the authorities that the system trusts, so that an agency's own authority serves too.

use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long a request may take, from resolving the name to the last byte of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that keeps its connections.
#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {source}")]
pub struct HttpError {
    url: String,
    source: ureq::Error,
}

impl Default for Http {
    fn default() -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(system_authorities())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls);
        Http { agent: config.build().new_agent() }
    }
}

impl Http {
    /// What is at a URL, of at most `bytes_max`.
    ///
    /// # Errors
    /// When the server cannot be reached, is too slow, or answers with more.
    pub fn get(&self, url: &str, bytes_max: u64) -> Result<Answer, HttpError> {
        self.agent.get(url).call().and_then(|answer| read(answer, bytes_max)).map_err(at(url))
    }

    /// What a URL answers to a body; at most `bytes_max`.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn post(&self, url: &str, body: &str, bytes_max: u64) -> Result<Answer, HttpError> {
        self.agent.post(url).send(body).and_then(|answer| read(answer, bytes_max)).map_err(at(url))
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>, bytes_max: u64) -> Result<Answer, ureq::Error> {
    let body = answer.body_mut().with_config().limit(bytes_max).read_to_vec()?;
    Ok(Answer { status: answer.status().as_u16(), body })
}

fn at(url: &str) -> impl FnOnce(ureq::Error) -> HttpError {
    move |source| HttpError { url: url.into(), source }
}

/// The certificates of the authorities that the system trusts. Without any, TLS connections fail and say so.
fn system_authorities() -> Vec<Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}

/// A URL and a path below it, whether or not the URL ends in a slash.
pub(crate) fn below(prefix: &str, path: &str) -> String {
    format!("{}/{path}", prefix.trim_end_matches('/'))
}
