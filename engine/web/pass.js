// The pass: what lets this machine go on with an exam that it has opened while the server is away, after a reload or with
// a restarted browser. It holds the token, the sitting as the engine told it last, and from the start on the paper key.
//
// Where: in IndexedDB beside the journal, from the login until the receipt, or until the token no longer counts; a day at
// most. Why there: session storage dies with the browser, and the paper that the key opens is open to every candidate of
// the batch by then. What a thief of the disk gains is a paper that was read in that room and a token that the next login
// ends; answers lie beside it anyway. Before the start the pass holds no key, and opens nothing.
//
// Who may use it: a tab that has the token in its own storage (a reload), or who types the admission code and the ID number
// of the very login (a restarted browser): the login screen stays what it was, and only where the engine does not answer
// this machine compares them itself. It keeps of them a salted, slow digest, never themselves. The engine decides as soon
// as it answers: a sitting that went on elsewhere or ended meanwhile stops here at once.
//
// What it cannot do: a browser that was closed has no monotonic clock. The time goes on from a note of both clocks, made
// every NOTE_MS, by the system's; until the engine tells it again a clock set meanwhile shows a wrong time left, though never
// an earlier time than the one noted. What counts is the engine's end, here as ever.
//
// Exports: logIn(typed), sittingOf(token), keptKeys(token), openPass(token, view, keys), keepView(token, changes),
// dropPassOf(token). None but the first two fails: a machine that keeps nothing goes on as one without a pass.

import { call, pause, retryDelay, Unreachable } from './api.js';
import * as clock from './clock.js';
import * as store from './store.js';

const ROUNDS = 200_000; // of PBKDF2: a tenth of a second here, a guess takes as long
const SALT_BYTES = 16;
const NOTE_MS = 15_000;
const PATIENCE_MS = 3_000; // a reload waits so long for the engine before it goes on without
const utf8 = new TextEncoder();

let noting = null; // of the pass in use
let last = Promise.resolve(); // of the changes to passes: one after the other, so that none brings an older one back

function inTurn(work) {
  last = last.then(work).catch(warn);
  return last;
}

/**
 * Logs in with {code, id_number}; {token, view}. Where the engine does not answer and this machine has opened this
 * candidate's paper, its pass is as good. Throws a Problem or Unreachable.
 */
export async function logIn(typed) {
  try {
    const { token, ...view } = await call('POST', '/v1/login', { json: { admission_code: typed.code, id_number: typed.id_number } });
    await inTurn(() => issue(token, view.sitting_id, typed));
    return { token, view };
  } catch (fault) {
    if (!(fault instanceof Unreachable || fault.status >= 500)) throw fault;
    const pass = await passFor(typed).catch(warn);
    if (!pass) throw fault;
    return { token: pass.token, view: await viewFrom(pass) };
  }
}

/** The sitting as the engine tells it; where it does not answer, as this machine kept it with the opened paper. */
export async function sittingOf(token) {
  const answered = new AbortController();
  const asked = askUntilAnswered(token, answered.signal);
  try {
    const pass = await passOf(token);
    if (!pass?.keys) return await asked;
    return await Promise.race([asked, withoutEngine(pass, asked)]);
  } finally {
    answered.abort();
  }
}

async function askUntilAnswered(token, signal) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await call('GET', '/v1/sitting', { token });
    } catch (fault) {
      if (!fault.transient || signal.aborted) throw fault;
      asking.dispatchEvent(new Event('failed'));
      await pause(retryDelay(failures, fault), signal);
    }
  }
}

const asking = new EventTarget();

async function withoutEngine(pass, asked) {
  asked.catch(() => {});
  const waited = new AbortController();
  asking.addEventListener('failed', () => waited.abort(), { once: true });
  await pause(PATIENCE_MS, waited.signal);
  return viewFrom(pass);
}

/** The paper key that this token has opened the paper with before, or null. */
export async function keptKeys(token) {
  return (await passOf(token))?.keys ?? null;
}

/** From now on this machine can go on alone: `keys` have opened the paper. */
export async function openPass(token, { responses, ...view }, keys) {
  const fresh = { sitting_id: view.sitting_id, token, issued_ms: Date.now() };
  await inTurn(async () => note({ ...((await passOf(token)) ?? fresh), view: { ...view, state: 'in_progress' }, keys }));
  clearInterval(noting);
  noting = setInterval(() => keepView(token, {}), NOTE_MS);
}

/** The engine has told something new about the sitting, such as its end. */
export function keepView(token, changes) {
  return inTurn(async () => {
    const pass = await passOf(token);
    if (pass?.view) await note({ ...pass, view: { ...pass.view, ...changes } });
  });
}

/** The exam is over, or this token no longer counts. */
export function dropPassOf(token) {
  clearInterval(noting);
  return inTurn(async () => {
    const pass = await passOf(token);
    if (pass) await store.dropPass(pass.sitting_id);
  });
}

async function issue(token, sitting_id, typed) {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  await store.keepPass({ sitting_id, token, issued_ms: Date.now(), salt, proof: await digestOf(typed, salt) });
}

function note(pass) {
  return store.keepPass({ ...pass, server_ms: clock.now(), system_ms: Date.now() });
}

async function passOf(token) {
  const kept = await store.passes().catch(() => []);
  return kept.find((pass) => pass.token === token) ?? null;
}

async function passFor(typed) {
  for (const pass of await store.passes()) {
    if (pass.keys && pass.proof && pass.proof === (await digestOf(typed, pass.salt))) return pass;
  }
  return null;
}

async function viewFrom(pass) {
  clock.assume(pass.server_ms + Math.max(0, Date.now() - pass.system_ms));
  const { copies } = await store.load(pass.sitting_id);
  const responses = Object.fromEntries(copies.map(({ item, seq, json }) => [item, { seq, value: JSON.parse(json) }]));
  return { ...pass.view, responses };
}

/** Folded as the engine does, as far as one hand's typing differs from itself: width, case, spaces. */
async function digestOf({ code, id_number }, salt) {
  const folded = [code, id_number].map((text) => text.normalize('NFKC').replace(/\s/gu, '').toUpperCase()).join('\n');
  const material = await crypto.subtle.importKey('raw', utf8.encode(folded), 'PBKDF2', false, ['deriveBits']);
  const bits = await crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations: ROUNDS }, material, 256);
  return Array.from(new Uint8Array(bits), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function warn(fault) {
  console.warn('the pass is not kept', fault);
  return null;
}
