//! The pages that the person sees.

use crate::{oauth2::login::LoginError, store::TokenSet};

/// What the last page says.
pub(super) struct Outcome {
    pub(super) is_good: bool,
    title: &'static str,
    text: &'static str,
}

impl Outcome {
    /// The page says nothing that the browser brought or the server wrote: anybody can have made
    /// that up.
    pub(super) fn of(result: &Result<TokenSet, LoginError>) -> Self {
        let (title, text) = match result {
            Ok(_) => (
                "You are logged in",
                "You can close this tab and go back to the program.",
            ),
            Err(error) if error.is_denied() => (
                "You are not logged in",
                "Access was denied. If that was a mistake, start the log-in again.",
            ),
            Err(error) if error.is_forged() => (
                "You are not logged in",
                "This answer does not belong to the log-in that the program started. Go back to \
                 the program, and start it again.",
            ),
            Err(_) => (
                "The log-in did not work",
                "Go back to the program: it says why.",
            ),
        };
        Self {
            is_good: result.is_ok(),
            title,
            text,
        }
    }

    pub(super) fn html(&self) -> String {
        let mark = if self.is_good { "&#10003;" } else { "&#10007;" };
        let class = if self.is_good { "good" } else { "bad" };
        page(
            self.title,
            &format!(
                "<p class=\"mark {class}\" aria-hidden=\"true\">{mark}</p>\n\
                 <h1>{}</h1>\n<p>{}</p>",
                self.title, self.text
            ),
        )
    }
}

/// The page that sends the fragment, which only the browser has, to where it came from, and clears
/// it from the address bar and the history (RFC 6749 4.2.2). The answer's page takes its place.
pub(super) fn relay(nonce: &str) -> String {
    page(
        "Logging in",
        &format!(
            r#"<h1 id="title">Logging in &hellip;</h1>
<noscript><p>This way of logging in needs JavaScript.</p></noscript>
<script nonce="{nonce}">
const answer = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
fetch(location.pathname, {{
  method: "POST",
  headers: {{ "content-type": "text/plain" }},
  body: answer,
}}).then(async (response) => {{
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
}}).catch(() => {{
  document.getElementById("title").textContent = "The program is not waiting any more";
}});
</script>"#
        ),
    )
}

/// The page for all that is no answer.
pub(super) fn nothing() -> String {
    page("Nothing here", "<h1>Nothing here</h1>")
}

fn page(title: &str, content: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 1.1rem/1.5 system-ui, sans-serif }}
main {{ max-width: 26rem; padding: 2rem; text-align: center }}
h1 {{ font-size: 1.5rem; margin: 0 0 .5rem }}
.mark {{ width: 4rem; height: 4rem; line-height: 4rem; margin: 0 auto 1rem; border-radius: 50%;
  font-size: 2rem; color: #fff }}
.good {{ background: #2e7d32 }}
.bad {{ background: #b3261e }}
</style>
<main>
{content}
</main>
</html>
"#
    )
}
