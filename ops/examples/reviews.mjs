#!/usr/bin/env node
// An evaluation system's side of score reviews (成绩复核), beside reviews.py: Node 20 or newer, no packages.
//
//   export EXAM_URL=https://exam.example EXAM_KEY=...        # an API key of scope `results`
//   node reviews.mjs file SITTING_ID missed_marks,tally "总分与估算不一致" receipt.json   # the last two may be left out
//   node reviews.mjs follow SITTING_ID                       # until it is answered; tells what was found
//   node reviews.mjs answer SITTING_ID 李四 "经核查,成绩无误"
//   node reviews.mjs report SITTING_ID > report.html
//   node reviews.mjs open BATCH_ID                           # what is still to be answered, and by when
//
// A review is filed while the score is published. Filed again, or answered again, it is the same one. It changes no score.
import { readFileSync } from "node:fs";

const ATTEMPTS = 8;
const TIMEOUT_MS = 60_000;
const FOLLOW_EVERY_MS = 2_000;

class Refused extends Error {}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** The answer; what the engine or the network could not do just now is repeated, which is safe for every call here. */
async function call(method, path, document) {
  const headers = { authorization: `Bearer ${process.env.EXAM_KEY}` };
  if (document !== undefined) headers["content-type"] = "application/json";
  const body = document === undefined ? undefined : JSON.stringify(document);
  for (let attempt = 1; ; attempt += 1) {
    let wait_ms = Math.min(2 ** attempt * 250, 30_000);
    try {
      const url = process.env.EXAM_URL.replace(/\/+$/, "") + path;
      const answer = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (answer.ok) return answer;
      if (![429, 503].includes(answer.status) || attempt === ATTEMPTS) {
        const problem = await answer.json().catch(() => ({}));
        const faults = (problem.errors ?? []).map((fault) => `\n  ${fault.pointer}: ${fault.message}`);
        throw new Refused(`${answer.status} ${problem.code ?? ""}: ${problem.detail ?? ""}${faults.join("")}`);
      }
      wait_ms = Number(answer.headers.get("retry-after") ?? 1) * 1000;
    } catch (fault) {
      if (fault instanceof Refused || attempt === ATTEMPTS) throw fault;
    }
    await pause(wait_ms);
  }
}

const callJson = async (...words) => (await call(...words)).json();
const pathOf = (sittingId) => `/v1/sittings/${encodeURIComponent(sittingId)}/review`;
const moment = (ms) => new Date(ms + 8 * 3_600_000).toISOString().slice(0, 16).replace("T", " ");

async function file(sittingId, grounds, text = "", receiptFile = "") {
  const asked = { grounds: grounds.split(","), text };
  if (receiptFile) asked.receipt = JSON.parse(readFileSync(receiptFile, "utf-8"));
  const review = await callJson("POST", pathOf(sittingId), asked);
  console.log(`filed: revision ${review.revision} of ${sittingId}, to be answered before ${moment(review.due_ms)}`);
}

async function follow(sittingId) {
  for (let told = ""; ; await pause(FOLLOW_EVERY_MS)) {
    const review = await callJson("GET", pathOf(sittingId));
    if (review.state !== told) {
      told = review.state;
      console.log(`${told}: revision ${review.revision}, score ${review.result.score}`);
      for (const finding of review.findings ?? []) {
        console.log(`  ${finding.ok ? "ok" : "DIFFERS"} ${finding.check}: ${finding.detail}`);
      }
    }
    if (review.answer !== null) {
      console.log(`answered by ${review.answer.answered_by}: ${review.answer.text}`);
      return;
    }
  }
}

async function answer(sittingId, answered_by, text) {
  const review = await callJson("POST", `${pathOf(sittingId)}/answer`, { answered_by, text });
  console.log(`answered: ${sittingId} at ${moment(review.answer.answered_ms)}`);
}

async function report(sittingId) {
  process.stdout.write(await (await call("GET", `${pathOf(sittingId)}?format=html`)).text());
}

async function open(batchId) {
  for (let after = "0"; after !== null; ) {
    const page = await callJson("GET", `/v1/batches/${encodeURIComponent(batchId)}/reviews?limit=500&after=${after}`);
    for (const review of page.reviews.filter((each) => each.state !== "answered")) {
      const late = review.is_overdue ? " OVERDUE" : "";
      console.log(`${review.sitting_id} ${review.state}, before ${moment(review.due_ms)}${late}`);
    }
    after = page.next;
  }
}

const COMMANDS = { file: [file, 2, 4], follow: [follow, 1, 1], answer: [answer, 3, 3], report: [report, 1, 1], open: [open, 1, 1] };
const [name, ...words] = process.argv.slice(2);
const [chosen, least, most] = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : [];
if (chosen === undefined || words.length < least || words.length > most) {
  console.error(readFileSync(new URL(import.meta.url), "utf-8").split("\n").slice(1, 10).join("\n"));
  process.exitCode = 2;
} else {
  try {
    await chosen(...words);
  } catch (fault) {
    console.error(fault.message);
    process.exitCode = 1;
  }
}
