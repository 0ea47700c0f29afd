//! The pages that the user sees.

use crate::{oauth2::login::LoginError, store::TokenSet};

/// The text of the last page.
pub(super) struct Outcome {
    is_success: bool,
    title: &'static str,
    text: &'static str,
}

impl Outcome {
    /// Returns the text for a login's result. The page includes nothing from the callback or the
    /// server, because an attacker could have written it.
    pub(super) fn of(result: &Result<TokenSet, LoginError>) -> Self {
        let (title, text) = match result {
            Ok(_) => (
                "You are logged in",
                "You can close this tab and return to the program.",
            ),
            Err(error) if error.is_denied() => (
                "You are not logged in",
                "Access was denied. If that was a mistake, start the login again.",
            ),
            Err(error) if error.is_forged() => (
                "You are not logged in",
                "This response does not belong to the login that the program started. Return to the \
                 program and start again.",
            ),
            Err(_) => ("The login failed", "Return to the program for the reason."),
        };
        Self {
            is_success: result.is_ok(),
            title,
            text,
        }
    }

    pub(super) fn html(&self) -> String {
        let mark = if self.is_success {
            "&#10003;"
        } else {
            "&#10007;"
        };
        let class = if self.is_success { "good" } else { "bad" };
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

/// Returns a page that posts the fragment, which only the browser can read, to the listener, and
/// clears it from the address bar and the history (RFC 6749 section 4.2.2). The page with the
/// outcome then replaces this page.
pub(super) fn relay(nonce: &str) -> String {
    page(
        "Logging in",
        &format!(
            r#"<h1 id="title">Logging in &hellip;</h1>
<noscript><p>This login needs JavaScript.</p></noscript>
<script nonce="{nonce}">
const response = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
fetch(location.pathname, {{
  method: "POST",
  headers: {{ "content-type": "text/plain" }},
  body: response,
}}).then(async (reply) => {{
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
}}).catch(() => {{
  document.getElementById("title").textContent = "The program is no longer waiting";
}});
</script>"#
        ),
    )
}

/// Returns the page for requests other than the callback.
pub(super) fn not_found() -> String {
    page("Not found", "<h1>Not found</h1>")
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
