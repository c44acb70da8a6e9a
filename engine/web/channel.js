// The channel of this page: one WebSocket for one token, shared by all that ask for it (autosave.js, watch.js, key.js).
// While it is `open` saves go over it and everything that the engine tells comes by itself; while it is not, its users
// call over HTTP. It is tried again for as long as anybody uses it: soon after a cut, now and then where a proxy lets none
// through. A line that is dead without saying so is noticed by an answer that does not come.
//
// Answers come in the order of the frames; what was not answered when the line broke fails as Unreachable, and whoever
// sent it sends it again. Events, each with `detail`: `open`, `down`, `time`, `committed`, `notice`, `paper_key`,
// `closed` (the engine's messages), `refused` (a Problem: this token is superseded), `doubt` (ask over HTTP whether the
// token still counts).

import { link, linkIs, pause, Problem, SLOW_MS, Unreachable, UPLOAD_MS_PER_BYTE } from './api.js';
import * as clock from './clock.js';

const PATH = '/v1/channel';
const HELLO_MS_MAX = 8_000; // from the first packet to the answer to hello; a proxy may take the upgrade and say nothing
const ANSWER_MS_MAX = 8_000; // longer than any healthy answer to a frame
// Nothing heard for this long: ask whether the line lives. Whoever types learns it within seconds, and the engine shows
// that it lives more often, which a page cannot see; each question is 400 bytes of a slow line.
const QUIET_MS_MAX = 240_000;
const RETRY_BASE_MS = 1_000;
const RETRY_MS_MAX = 60_000; // a proxy that lets no channel through costs one attempt a minute
const SPREAD_MS = 1_500; // a room's machines do not all come back in the same instant
const LINGER_MS = 3_000; // one screen leaves before the next one asks
const BLOCKED_AFTER = 3; // attempts in vain while HTTP was answered
const TOLD = new Set(['time', 'committed', 'notice', 'paper_key', 'closed']);
// The engine answers a second hello with an error, at once and without asking any store: all that a probe needs.
const PROBE = '{"type":"hello","token":""}';

const channels = new Map(); // token -> Channel

/** The channel of `token`, used until `signal` aborts. */
export function joinChannel(token, signal) {
  let channel = channels.get(token);
  if (!channel) channels.set(token, (channel = new Channel(token)));
  channel.use(signal);
  return channel;
}

class Channel extends EventTarget {
  #token;
  #users = 0;
  #stopping = new AbortController();
  #nudge = new AbortController();
  #socket = null;
  #unanswered = []; // in frame order: {resolve, reject, sent_ms, limit_ms}
  #fault = null; // the last error the engine told on this connection
  #began_ms = 0;
  #heard_ms = 0;
  #round_trip_ms = 0;
  #in_vain = 0; // attempts since the last that opened
  #blocked = 0; // those of them during which HTTP was answered

  open = false;
  time = null; // the last `time` message
  keys = null; // {paper_key, seed} once pushed

  constructor(token) {
    super();
    this.#token = token;
    const { signal } = this.#stopping;
    addEventListener('offline', () => this.#drop(), { signal });
    link.addEventListener('change', () => link.up && this.#blocked < BLOCKED_AFTER && this.#soon(), { signal });
    const timer = setInterval(() => this.#check(), 500);
    signal.addEventListener('abort', () => clearInterval(timer));
    this.#run();
  }

  use(signal) {
    this.#users += 1;
    const leave = () => {
      this.#users -= 1;
      setTimeout(() => this.#users === 0 && this.#stop(), LINGER_MS);
    };
    signal.addEventListener('abort', leave, { once: true });
  }

  /** Sends one frame of changes, an already written JSON array; resolves to the engine's `saved`. */
  save(changes) {
    return this.#send(`{"type":"save","changes":${changes}}`);
  }

  /** Asks whether the line lives; if it does not, it is cut. */
  probe() {
    if (this.open) this.#send(PROBE).catch(() => {});
  }

  #stop() {
    if (channels.get(this.#token) === this) channels.delete(this.#token);
    this.#stopping.abort();
    this.#nudge.abort();
    this.#drop();
  }

  // ---- connecting -----------------------------------------------------------------------------------------------

  async #run() {
    while (!this.#stopping.signal.aborted) {
      await this.#connect();
      if (this.#fault?.code === 'sitting.superseded') {
        this.#stop();
        return this.#tell('refused', this.#fault);
      }
      if (this.#fault?.status === 401) this.#tell('doubt', this.#fault);
      await pause(this.#delay(), AbortSignal.any([this.#stopping.signal, this.#nudge.signal]));
      if (this.#nudge.signal.aborted) this.#nudge = new AbortController();
    }
  }

  /** One attempt, or one connection's life; never rejects. */
  #connect() {
    return new Promise((resolve) => {
      const socket = new WebSocket(new URL(PATH, location.href.replace(/^http/, 'ws')));
      this.#socket = socket;
      this.#fault = null;
      this.#began_ms = this.#heard_ms = performance.now();
      socket.onopen = () => {
        this.#began_ms = performance.now();
        socket.send(JSON.stringify({ type: 'hello', token: this.#token }));
      };
      socket.onmessage = ({ data }) => this.#take(data);
      socket.onclose = ({ code }) => this.#drop(code);
      socket.onerror = () => this.#drop();
      socket.ended = resolve;
    });
  }

  /** The connection is gone, or given up: a dead one may take minutes to close. */
  #drop(code = 0) {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
    const was_open = this.open;
    this.open = false;
    this.#in_vain = was_open ? 0 : this.#in_vain + 1;
    this.#blocked = was_open || !link.up ? 0 : this.#blocked + 1;
    for (const { reject } of this.#unanswered.splice(0)) reject(new Unreachable('the channel was cut'));
    if (was_open) this.#tell('down', { code });
    socket.ended();
  }

  /** Full jitter, never before the engine's `retry_after_s`. */
  #delay() {
    const bound_ms = Math.min(RETRY_MS_MAX, RETRY_BASE_MS * 2 ** Math.min(this.#in_vain, 10));
    return (this.#fault?.retry_after_ms ?? 0) + 100 + Math.random() * bound_ms;
  }

  /** HTTP was just answered again: so may this be. */
  #soon() {
    if (this.#socket || this.#stopping.signal.aborted) return;
    const waited = this.#nudge;
    setTimeout(() => waited.abort(), Math.random() * SPREAD_MS);
  }

  #check() {
    if (!this.#socket) return;
    const now_ms = performance.now();
    if (!this.open) {
      if (now_ms - this.#began_ms > HELLO_MS_MAX) this.#drop();
      return;
    }
    const [oldest] = this.#unanswered;
    if (oldest && now_ms - oldest.sent_ms > SLOW_MS) linkIs(false);
    if (oldest && now_ms - oldest.sent_ms > oldest.limit_ms) this.#drop();
    else if (!oldest && now_ms - this.#heard_ms > QUIET_MS_MAX) this.probe();
  }

  // ---- frames ---------------------------------------------------------------------------------------------------

  #send(frame) {
    if (!this.open) return Promise.reject(new Unreachable('the channel is not open'));
    return new Promise((resolve, reject) => {
      const before = this.#unanswered.at(-1);
      const sent_ms = performance.now();
      const limit_ms = ANSWER_MS_MAX + frame.length * UPLOAD_MS_PER_BYTE;
      // Behind a long frame a short one waits, too.
      const until_ms = Math.max(sent_ms + limit_ms, before ? before.sent_ms + before.limit_ms : 0);
      this.#unanswered.push({ resolve, reject, sent_ms, limit_ms: until_ms - sent_ms });
      this.#socket.send(frame);
    });
  }

  #take(text) {
    const message = JSON.parse(text);
    this.#heard_ms = performance.now();
    linkIs(true);
    if (message.type === 'time') this.#takeTime(message);
    if (message.type === 'saved') this.#answer()?.resolve(message);
    else if (message.type === 'error') this.#takeError(message);
    else if (message.type === 'paper_key') this.keys = { paper_key: message.paper_key, seed: message.seed };
    if (TOLD.has(message.type)) this.#tell(message.type, message);
  }

  #takeTime(message) {
    const received = performance.now();
    const greeting = !this.open;
    if (greeting) this.#round_trip_ms = received - this.#began_ms;
    // What comes unasked was under way for half a round trip, more or less.
    clock.sync(message.server_ms, received - this.#round_trip_ms, received);
    this.time = message;
    if (!greeting) return;
    this.open = true;
    this.#tell('open', message);
  }

  /** An error answers hello, or the oldest frame that waits, or says why the engine closes next. */
  #takeError({ status, retry_after_s = 0, ...message }) {
    this.#fault = new Problem(status, message, retry_after_s * 1000);
    this.#answer()?.reject(this.#fault);
  }

  #answer() {
    const answered = this.#unanswered.shift();
    if (answered) this.#round_trip_ms = performance.now() - answered.sent_ms;
    return answered;
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
