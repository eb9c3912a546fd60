// A browser that does what it is told: a JSON document a line in, and one out. The tests in Go say what to do and judge.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const patience = 30_000;

// evil.test is a name of somebody else's that was pointed at this host.
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP evil.test 127.0.0.1"],
});

let page;
let asked = [];
let faults = [];

const cards = {
  // open opens the page in a window of its own.
  async open({ url, width = 1280, height = 900, scheme = "light" }) {
    await page?.context().close();
    // axe is put in by the debugger, so the page's own policy holds for all that the page does.
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" });
    context.setDefaultTimeout(patience);
    page = await context.newPage();
    asked = [];
    faults = [];
    page.on("request", (r) => asked.push(new URL(r.url()).origin));
    page.on("pageerror", (e) => faults.push(String(e)));
    page.on("console", (m) => {
      if (m.type() === "error") faults.push(m.text());
    });
    const answer = await page.goto(url);
    return answer.status();
  },

  // until waits until a place has a text, or has it no more.
  async until({ at, has, gone = false }) {
    await page.waitForFunction(
      ({ at, has, gone }) => {
        const all = [...document.querySelectorAll(at)].filter((e) => e.checkVisibility());
        return all.some((e) => e.textContent.includes(has)) !== gone;
      },
      { at, has, gone },
    );
    return null;
  },

  async text({ at }) {
    return page.locator(at).allInnerTexts();
  },

  async buttons() {
    return page.locator(".acts button:visible").allInnerTexts();
  },

  // press presses a button with the keyboard alone: the focus goes from element to element until it is there.
  async press({ button }) {
    await page.evaluate(() => document.activeElement?.blur());
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(() => document.activeElement?.textContent)) === button) {
        await page.keyboard.press("Enter");
        return null;
      }
    }
    throw new Error(`the keyboard does not come to ${button}`);
  },

  async click({ button }) {
    await page.getByRole("button", { name: button, exact: true }).click();
    return null;
  },

  // confirm gives what the dialog says, and does it.
  async confirm({ reason = "", button, fields = {}, keep = false }) {
    const box = page.getByRole("dialog");
    await box.waitFor();
    const says = await box.innerText();
    if (reason !== "") await box.getByLabel("Why, for the journal").fill(reason);
    for (const [name, value] of Object.entries(fields)) await box.getByLabel(name).fill(value);
    await box.getByRole("button", { name: button }).click();
    if (!keep) {
      await box.waitFor({ state: "detached" }).catch(async (err) => {
        throw new Error(`${err.message}\nthe dialog says: ${await box.innerText()}`);
      });
    }
    return says;
  },

  async escape() {
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    return null;
  },

  async choose({ service }) {
    await page.locator(`nav button[data-service="${service}"]`).click();
    return null;
  },

  // axe is what the accessibility rules find.
  async axe({ dialog = false }) {
    if (dialog) await page.getByRole("dialog").waitFor();
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
    const result = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
    return result.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.target.join(" ")} (${n.failureSummary})`).join("; ")}`);
  },

  // wider is how many pixels the page is wider than its window.
  async wider() {
    return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  },

  // drawn counts the pixels of the chart that are of about a colour.
  async drawn({ colour }) {
    return page.evaluate((colour) => {
      const canvas = document.querySelector(".plot canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      let n = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b, a] = data.slice(i, i + 4);
        if (a < 100) continue;
        if (colour === "blue" && b > g + 30 && b > r + 60) n++;
        if (colour === "green" && g > b + 20 && g > r + 60) n++;
      }
      return n;
    }, colour);
  },

  async shot({ path, full = false }) {
    await page.screenshot({ path, fullPage: full });
    return null;
  },

  async address() {
    return page.url();
  },

  // seen is whom the page asked, and what it complained about.
  async seen() {
    return { origins: [...new Set(asked)], faults };
  },

  // hostile opens another's page, which tries all that a page can to flip, to read and to frame.
  async hostile({ target, token }) {
    const server = createServer((_, answer) => {
      answer.setHeader("Content-Type", "text/html");
      answer.end(`<!doctype html><title>evil</title><form id=f method=post action="${target}/v1/flip" enctype="text/plain" target=hole><input name='{"service":"world","reason":"' value='"}'></form><iframe name=hole></iframe><iframe id=frame src="${target}/"></iframe>`);
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const context = await browser.newContext();
    const evil = await context.newPage();
    const flips = [];
    evil.on("response", (r) => {
      if (r.url().includes("/v1/")) flips.push(r.status());
    });
    await evil.goto(`http://127.0.0.1:${server.address().port}/`);
    const tries = await evil.evaluate(
      async ({ target, token }) => {
        const body = JSON.stringify({ service: "world" });
        const one = async (name, init) => {
          try {
            const answer = await fetch(`${target}/v1/flip`, { method: "POST", body, ...init });
            return `${name}: ${answer.type} ${answer.status}`;
          } catch (err) {
            return `${name}: refused`;
          }
        };
        const out = [await one("plain", {}), await one("no-cors", { mode: "no-cors" }), await one("with the token", { headers: { Authorization: `Bearer ${token}` } })];
        document.getElementById("f").submit();
        await new Promise((done) => setTimeout(done, 500));
        let framed = "an error";
        try {
          framed = document.getElementById("frame").contentDocument?.body?.innerText ?? "nothing to be read";
        } catch {
          // it is another origin's
        }
        return [...out, `frame: ${framed}`];
      },
      { target, token },
    );
    const frame = evil.frames().find((f) => f.name() !== "hole" && f !== evil.mainFrame());
    const framed = frame ? await frame.evaluate(() => document.querySelector("#app") !== null).catch(() => false) : false;
    const rebound = await evil.goto(target.replace("127.0.0.1", "evil.test") + "/");
    const read = await evil.evaluate(async (token) => (await fetch("/v1/status", { headers: { Authorization: `Bearer ${token}` } })).status, token);
    await context.close();
    server.close();
    return { tries, flips, framed, rebound: rebound.status(), read };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { play, ...args } = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await cards[play](args)) ?? null };
  } catch (err) {
    answer = { error: String(err.message ?? err) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
