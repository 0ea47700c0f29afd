// A person in front of headless Chromium, who logs in and says yes (or no) on a server's real pages.
//
//   node login.mjs '{"url": "..", "user": "..", "password": "..", "code": null, "consents": true, "picture": "x.png"}'
//
// The person ends where a page is of another origin than the first one's, or has nothing to fill in
// and nothing to press. Prints JSON: where (`url`, with its fragment), and the page's `text`.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const { url, user, password, code, consents, picture } = JSON.parse(process.argv[2]);
const home = new URL(url).origin;
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tower-auth-browser-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: '/usr/bin/chromium',
  headless: true,
  timeout: 30000,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

const yes = 'button[type=submit], input[type=submit], form button, button.btn-primary, button.btn-success';
const no = /^\W*(abort|deny|cancel|decline|refuse)\b/i;

// A page that changes under the hand of the person is looked at anew.
async function act(page) {
  try {
    return await actOnce(page);
  } catch (error) {
    if (error.name !== 'TimeoutError') throw error;
  }
}

async function actOnce(page) {
  const fields = { login: user, username: user, password, ...(code && { user_code: code }) };
  let filled = false;
  for (const [name, value] of Object.entries(fields)) {
    const field = page.locator(`input[name="${name}"]:visible, input#${name}:visible`).first();
    if (await field.count()) {
      await field.fill(value);
      filled = true;
    }
  }
  // A refusal is about the consent: who is not logged in yet has to do that first.
  const refuse = page.locator('button:visible, a:visible, input[type=submit]:visible')
    .filter({ hasText: no }).or(page.locator('input[type=submit][value=Deny]')).first();
  if (!consents && !filled && await refuse.count()) return refuse.click();
  // Who consents agrees to all that is asked.
  for (const box of await page.locator('input[type=checkbox]:visible:not(:checked)').all()) await box.check();
  const agree = page.locator(yes).and(page.locator(':visible:not([disabled])')).first();
  if (!(await agree.count())) return false;
  await agree.click();
}

try {
  const page = context.pages()[0] ?? await context.newPage();
  page.setDefaultTimeout(5000);
  page.setDefaultNavigationTimeout(20000);
  // Where nobody listens, the browser shows a page of its own.
  let tried = url;
  page.on('request', (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) tried = request.url();
  });
  await page.goto(url);
  for (let step = 0; step < 12 && new URL(page.url()).origin === home; step++) {
    if (await act(page) === false) {
      // Pages that are made by scripts may need a moment more.
      await page.waitForTimeout(700);
      if (new URL(page.url()).origin !== home || await act(page) === false) break;
    }
    await page.waitForLoadState('load');
    await page.waitForTimeout(200);
  }
  // A page whose script asks for more has said all only then.
  await page.waitForLoadState('networkidle');
  await page.screenshot({ path: picture });
  const end = page.url().startsWith('chrome-error:') ? tried : page.url();
  console.log(JSON.stringify({ url: end, text: (await page.innerText('body')).trim() }));
} finally {
  await context.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
