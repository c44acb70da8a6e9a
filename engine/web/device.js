// The device check: this machine is measured, the engine judges, and what is to be done stands beside each point. Fetched
// only when it is needed: for a batch of that kind, or for a look without a login, when nothing is kept.

import { call, untilAnswered } from './api.js';
import { now as serverNow, wallClock } from './clock.js';
import { checkMachine } from './device_check.js';
import { CheckRow, CHECKS } from './device_findings.js';
import { openLine } from './device_line.js';
import { refusal, speaker } from './device_words.js';
import { Frame } from './frame.js';
import { html, signal, useEffect, useRef } from './html.js';
import { addStyle } from './style.js';
import { explain, t } from './words.js';

const say = speaker(t);
const NAMED = { ok: 'good', weak: 'weak', fail: 'grave' };

/** `onDone()` goes on with the sitting; without one it is only a look. */
export function deviceScreen(app, onDone) {
  const states = signal({});
  const result = signal(null);
  const fault = signal(null);
  const began = signal(0);
  const elapsed = signal(0);
  const stream = signal(null);
  const stopping = new AbortController();
  const picture = document.createElement('video');
  Object.assign(picture, { muted: true, playsInline: true });
  const token = onDone ? app.token : null;
  const line = openLine({ path: token && '/v1/sitting/probe', token });

  function judged(measured) {
    const path = token ? '/v1/sitting/device' : '/v1/device';
    return untilAnswered(() => call('POST', path, { token, json: measured }), stopping.signal);
  }

  async function run() {
    result.value = fault.value = null;
    began.value = performance.now();
    states.value = Object.fromEntries(CHECKS.map((name) => [name, 'waiting']));
    const told = (names, state) => (states.value = { ...states.value, ...Object.fromEntries(names.map((name) => [name, state])) });
    const onStream = (given) => ((stream.value = given), picture);
    const ticking = setInterval(() => (elapsed.value = Math.floor((performance.now() - began.value) / 1000)), 250);
    try {
      const found = await checkMachine({ line, token, judged, told, onStream });
      if (!stopping.signal.aborted) result.value = { ...found, took_s: Math.ceil((performance.now() - began.value) / 1000) };
    } catch (problem) {
      if (!stopping.signal.aborted && !app.refused(problem)) fault.value = problem;
    } finally {
      clearInterval(ticking);
      stream.value = null;
    }
  }

  function again() {
    document.querySelector('h1').focus(); // the button goes away, the focus must not
    run();
  }

  const View = () => {
    const found = result.value;
    const sending = Object.values(states.value).every((state) => state === 'measured');
    return html`<${Frame} app=${app} title=${say('device.title')} wide>
      ${app.view ? html`<${Place} candidate=${app.view.candidate} />` : html`<p class="hint">${say('device.look')}</p>`}
      <div class="device-head">
        ${found ? html`<${Overall} found=${found} kept=${token !== null} />` : html`<div class="device-overall" role="status">
          <p class="lead">${fault.value ? say('device.failed', { why: refusal(say, fault.value) ?? explain(fault.value) }) : say(sending ? 'device.sending' : 'device.running')}</p>
          <p class="hint">${fault.value ? '' : say('device.elapsed', { seconds: elapsed.value })}</p></div>`}
        ${stream.value && html`<${Picture} video=${picture} />`}
        ${(found || fault.value) && html`<div class="device-actions">
          <button type="button" class="main" id="device-done" onclick=${onDone ?? (() => app.leave())}>${say(onDone ? 'device.go_on' : 'device.back')}</button>
          <button type="button" id="device-again" onclick=${again}>${say('device.again')}</button>
        </div>`}
      </div>
      <ul class="device-rows" aria-label=${say('device.checks')}>
        ${CHECKS.map((name) => html`<${CheckRow} say=${say} name=${name} key=${name} state=${states.value[name]}
          finding=${found?.findings.find((finding) => finding.name === name)} />`)}
      </ul>
      ${found?.tier && html`<p class="hint">${say('device.line', { candidates: found.candidates, up: found.tier.up_mbit_s,
        down: found.tier.down_mbit_s, share_up: found.share.up_kbit_s, share_down: found.share.down_kbit_s })}</p>`}
    </${Frame}>`;
  };

  addStyle('device.css');
  run();
  return { View, stop: () => stopping.abort() };
}

function Place({ candidate }) {
  const row = (name) => html`<div class="row"><dt>${say(`device.${name}`)}</dt><dd>${candidate[name]}</dd></div>`;
  return html`<dl class="device-place">${['site', 'room', 'seat'].map(row)}</dl>`;
}

function Overall({ found, kept }) {
  const n = found.findings.filter(({ verdict }) => verdict === (found.verdict === 'fail' ? 'fail' : 'weak')).length;
  const { took_s, checked_ms = serverNow() } = found;
  return html`<div class=${`device-overall ${NAMED[found.verdict]}`} data-overall=${found.verdict} role="status">
    <p class="lead">${say(`overall.${found.verdict}`, { n })}</p>
    <p class="hint">${say(kept ? 'device.done' : 'device.done_look', { time: wallClock(checked_ms), seconds: took_s })}</p></div>`;
}

/** The element that measures is the one that shows: a second one would need the camera twice. */
function Picture({ video }) {
  const place = useRef(null);
  useEffect(() => place.current.replaceChildren(video), []);
  return html`<div class="device-picture" role="img" aria-label=${say('device.camera_preview')} ref=${place}></div>`;
}
