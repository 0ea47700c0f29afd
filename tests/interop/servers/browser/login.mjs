// A user of headless Chromium, who logs in and consents (or refuses) on a server's real pages.
//
//   node login.mjs '{"url": "..", "user": "..", "password": "..", "code": null, "consents": true, "picture": "x.png"}'
//
// Ends at a page of another origin, or at one without fields and buttons. Prints JSON: the page's `url`
// (with fragment) and its `text`.
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

// A page that changes meanwhile is read again.
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
  // Only consent can be refused, so log in first.
  const refuse = page.locator('button:visible, a:visible, input[type=submit]:visible')
    .filter({ hasText: no }).or(page.locator('input[type=submit][value=Deny]')).first();
  if (!consents && !filled && await refuse.count()) return refuse.click();
  // Consent includes every requested scope.
  for (const box of await page.locator('input[type=checkbox]:visible:not(:checked)').all()) await box.check();
  const agree = page.locator(yes).and(page.locator(':visible:not([disabled])')).first();
  if (!(await agree.count())) return false;
  await agree.click();
}

try {
  const page = context.pages()[0] ?? await context.newPage();
  page.setDefaultTimeout(5000);
  page.setDefaultNavigationTimeout(20000);
  // If nothing listens there, the browser shows its own error page.
  let tried = url;
  page.on('request', (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) tried = request.url();
  });
  await page.goto(url);
  for (let step = 0; step < 12 && new URL(page.url()).origin === home; step++) {
    if (await act(page) === false) {
      // Pages that scripts render may need a moment.
      await page.waitForTimeout(700);
      if (new URL(page.url()).origin !== home || await act(page) === false) break;
    }
    await page.waitForLoadState('load');
    await page.waitForTimeout(200);
  }
  // A page may load more content by script; wait until it is complete.
  await page.waitForLoadState('networkidle');
  await page.screenshot({ path: picture });
  const end = page.url().startsWith('chrome-error:') ? tried : page.url();
  console.log(JSON.stringify({ url: end, text: (await page.innerText('body')).trim() }));
} finally {
  await context.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
