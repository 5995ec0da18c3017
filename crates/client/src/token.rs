//! Where bearer tokens come from, and for how long one is presented.

use std::{error::Error as StdError, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{sync::Mutex, time::Instant};
use tonic::metadata::{Ascii, MetadataValue};

use crate::{Error, retry::in_future};

/// How old what was read from a file may be.
const FILE_FRESH_FOR: Duration = Duration::from_secs(1);

pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A token, and for how long it is presented before the source is asked again. Leave a margin before its expiry.
#[derive(Clone)]
pub struct AccessToken {
    pub value: String,
    /// None: until a service refuses it.
    pub fresh_for: Option<Duration>,
}

/// Gives tokens: the client of an identity provider, a sidecar, a file. Asked by one caller at a time, and only when the
/// last token is no longer fresh or was refused.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    async fn token(&self) -> Result<AccessToken, BoxError>;
}

/// One token, for as long as it lasts.
impl From<&str> for AccessToken {
    fn from(value: &str) -> Self {
        Self { value: value.to_owned(), fresh_for: None }
    }
}

#[async_trait]
impl TokenSource for AccessToken {
    async fn token(&self) -> Result<AccessToken, BoxError> {
        Ok(self.clone())
    }
}

/// The content of a file, read anew when it is a second old: whoever writes the file renews the token.
#[derive(Debug, Clone)]
pub struct TokenFile(pub PathBuf);

#[async_trait]
impl TokenSource for TokenFile {
    async fn token(&self) -> Result<AccessToken, BoxError> {
        let read = tokio::fs::read_to_string(&self.0).await;
        let content = read.map_err(|error| format!("{}: {error}", self.0.display()))?;
        Ok(AccessToken { value: content.trim().to_owned(), fresh_for: Some(FILE_FRESH_FOR) })
    }
}

/// An async function as a source.
pub fn token_fn<F, A>(ask: F) -> impl TokenSource
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Result<AccessToken, BoxError>> + Send + 'static,
{
    struct Asked<F>(F);

    #[async_trait]
    impl<F, A> TokenSource for Asked<F>
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<AccessToken, BoxError>> + Send + 'static,
    {
        async fn token(&self) -> Result<AccessToken, BoxError> {
            (self.0)().await
        }
    }

    Asked(ask)
}

/// The token presented now.
pub(crate) struct Tokens {
    source: Option<Arc<dyn TokenSource>>,
    /// Held while the source is asked: a fleet of calls asks once.
    current: Mutex<Option<Presented>>,
}

#[derive(Clone)]
struct Presented {
    header: MetadataValue<Ascii>,
    until: Option<Instant>,
}

impl Tokens {
    pub(crate) fn new(source: Option<Arc<dyn TokenSource>>) -> Self {
        Self { source, current: Mutex::new(None) }
    }

    /// The value of the authorization header; None where the client was built without a token.
    pub(crate) async fn header(&self) -> Result<Option<MetadataValue<Ascii>>, Error> {
        let Some(source) = &self.source else { return Ok(None) };
        let mut current = self.current.lock().await;
        if let Some(presented) = &*current
            && presented.until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(Some(presented.header.clone()));
        }
        let token = source.token().await.map_err(Error::no_token)?;
        let mut header: MetadataValue<Ascii> = format!("Bearer {}", token.value)
            .parse()
            .map_err(|_| Error::no_token("it holds characters that a token cannot have".into()))?;
        header.set_sensitive(true);
        let until = token.fresh_for.map(in_future);
        *current = Some(Presented { header: header.clone(), until });
        Ok(Some(header))
    }

    /// A service refused this one. Answers whether the source has another by now.
    pub(crate) async fn renew(&self, refused: &MetadataValue<Ascii>) -> bool {
        let mut current = self.current.lock().await;
        // Another call may have renewed it in the meantime.
        if current.as_ref().is_some_and(|presented| presented.header == refused) {
            *current = None;
        }
        drop(current);
        self.header().await.is_ok_and(|header| header.is_some_and(|header| header != refused))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn counting(fresh_for: Option<Duration>) -> (Arc<AtomicU32>, Tokens) {
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        let source = token_fn(move || {
            let number = count.fetch_add(1, Ordering::Relaxed);
            async move { Ok(AccessToken { value: format!("t{number}"), fresh_for }) }
        });
        (asked, Tokens::new(Some(Arc::new(source))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_is_asked_once_for_as_long_as_its_token_is_fresh() {
        let (asked, tokens) = counting(Some(Duration::from_secs(60)));
        let (one, other) = tokio::join!(tokens.header(), tokens.header());
        assert_eq!((one.unwrap(), asked.load(Ordering::Relaxed)), (other.unwrap(), 1));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(tokens.header().await.unwrap().unwrap(), "Bearer t1");
    }

    #[tokio::test]
    async fn a_refused_token_is_renewed_once_for_all_who_were_refused() {
        let (asked, tokens) = counting(None);
        let refused = tokens.header().await.unwrap().unwrap();
        assert!(tokens.renew(&refused).await);
        assert!(tokens.renew(&refused).await, "somebody else has renewed it");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let fixed = Tokens::new(Some(Arc::new(AccessToken::from("t"))));
        let refused = fixed.header().await.unwrap().unwrap();
        assert!(!fixed.renew(&refused).await, "there is no other");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let tokens = Tokens::new(Some(Arc::new(TokenFile(file.path().to_owned()))));
        for content in ["one\n", "two"] {
            std::fs::write(file.path(), content).unwrap();
            tokio::time::advance(FILE_FRESH_FOR * 2).await;
            let header = tokens.header().await.unwrap().unwrap();
            assert_eq!(header, format!("Bearer {}", content.trim()).as_str());
        }
        std::fs::remove_file(file.path()).unwrap();
        tokio::time::advance(FILE_FRESH_FOR * 2).await;
        let error = tokens.header().await.unwrap_err();
        assert!(error.kind == crate::ErrorKind::NoToken && error.message.contains(file.path().to_str().unwrap()));
    }
}
