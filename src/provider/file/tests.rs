use std::{sync::Arc, time::UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    AuthLayer, Origins,
    provider::{Lifetime, RefreshControl},
};

/// A token file, which is removed on drop.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(name: &str) -> Self {
        let name = format!("tower-auth-file-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        // The file is replaced atomically, as Kubernetes does it.
        let new = self.0.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    fn remove(&self) {
        fs::remove_file(&self.0).unwrap();
    }

    fn provider(&self) -> FileToken {
        FileToken::new(&self.0)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Creates a JWT that expires in `ttl` seconds.
fn jwt(name: &str, ttl: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expiry = now.as_secs().checked_add_signed(ttl).unwrap();
    let claims = format!(r#"{{"sub":"{name}","exp":{expiry}}}"#);
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

fn context(reason: Reason, previous: Option<&str>) -> RefreshContext<Bearer> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let control = Arc::new(RefreshControl::new(deadline));
    let previous = previous.map(|token| Bearer::new(token).unwrap());
    RefreshContext::new(reason, previous, Vec::new(), control)
}

async fn issue(file: &TokenFile) -> Result<Issued<Bearer>, ProviderError> {
    file.provider().issue(context(Reason::Initial, None)).await
}

fn seconds(issued: &Issued<Bearer>) -> u64 {
    match issued.lifetime() {
        Lifetime::In(time) => time.as_secs_f64().ceil() as u64,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_used_until_it_expires_or_for_a_minute() {
    let file = TokenFile::new("lifetime");
    for (token, ttl) in [
        ("opaque".to_owned(), 60),
        (jwt("x", 3600), 60),
        (jwt("x", 30), 30),
        (jwt("x", -30), 0),
    ] {
        file.write(format!("  {token}\n\n"));
        let issued = issue(&file).await.unwrap();
        assert_eq!(issued.credential().expose(), token);
        let seconds = seconds(&issued);
        assert!(
            (ttl.max(1) - 1..=ttl).contains(&seconds),
            "{ttl}: {seconds}"
        );
    }
    let often = file.provider().reread_after(Duration::from_secs(10));
    let issued = often.issue(context(Reason::Initial, None)).await.unwrap();
    assert_eq!(seconds(&issued), 0, "it has expired nevertheless");
}

#[tokio::test]
async fn a_file_without_a_token_is_a_transient_failure() {
    let file = TokenFile::new("bad");
    let check = async |why: &str| {
        let error = issue(&file).await.unwrap_err();
        assert!(error.is_transient());
        let text = format!("{error:#}");
        let name = format!(
            "temporary provider error: the token file {}: ",
            file.0.display()
        );
        assert!(text.starts_with(&name) && text.contains(why), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    };
    check("No such file").await;
    for (text, why) in [
        (b"".to_vec(), "is empty"),
        (b" \n".to_vec(), "is empty"),
        (b"hunter2 hunter2".to_vec(), "contains spaces"),
        (vec![0xff], "UTF-8"),
        (vec![b'a'; 64 * 1024 + 1], "larger than 64 KiB"),
    ] {
        file.write(text);
        check(why).await;
    }
    file.write(vec![b'a'; 64 * 1024]);
    issue(&file).await.unwrap();
    let folder = FileToken::new(std::env::temp_dir());
    let error = folder
        .issue(context(Reason::Initial, None))
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("is not a regular file"),
        "{error:#}"
    );
}

/// Rule 4: this holds even after the minute at which the file is read again.
#[tokio::test]
async fn a_valid_jwt_remains_in_use_while_the_file_is_missing() {
    let file = TokenFile::new("gone");
    let (good, over) = (jwt("good", 3600), jwt("over", -1));
    for (reason, previous, served) in [
        (Reason::Early, &*good, true),
        (Reason::Expired, &good, true),
        (Reason::Rejected, &good, false),
        (Reason::Invalidated, &good, false),
        (Reason::Expired, &over, false),
        (Reason::Expired, "opaque", false),
    ] {
        let issued = file.provider().issue(context(reason, Some(previous))).await;
        assert_eq!(issued.is_ok(), served, "{reason} {previous}");
        if let Ok(issued) = issued {
            assert_eq!(issued.credential().expose(), previous);
            assert_eq!(seconds(&issued), 60);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_noticed_within_a_minute_or_at_a_rejection() {
    let file = TokenFile::new("change");
    file.write(jwt("one", 3600));
    let origins = Origins::only("https://api.example.com").unwrap();
    let handle = AuthLayer::new(file.provider(), origins).handle();
    let held = async || handle.credential().await.unwrap().expose().to_owned();
    let one = held().await;
    let two = jwt("two", 3600);
    file.write(&two);
    assert_eq!(held().await, one, "the file is not read for each request");
    sleep(Duration::from_secs(61)).await;
    assert_eq!(held().await, two);

    let three = jwt("three", 3600);
    file.write(&three);
    handle.invalidate();
    assert_eq!(held().await, three);

    file.remove();
    sleep(Duration::from_secs(300)).await;
    assert_eq!(held().await, three, "the token has not expired");
}
