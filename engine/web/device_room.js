// The room's machines on the room's page: who has been checked and how it came out, one machine in full, the check of the
// management machine (the one this page is open on), and the acceptance form. Asked for only while it is looked at.

import { Acceptance } from './acceptance.js';
import { wallClock } from './clock.js';
import { checkMachine } from './device_check.js';
import { CheckRow, CHECKS, Verdict } from './device_findings.js';
import { openLine } from './device_line.js';
import { refusal, speaker } from './device_words.js';
import { html, signal, useEffect, useRef } from './html.js';
import { explain, t } from './room_words.js';
import { keepShell } from './shell.js';
import { addStyle } from './style.js';

const LOOK_MS = 20_000; // some 50 kB: technicians walk from machine to machine
const NAMES_SHOWN = 3;
const TONES = ['ok', 'weak', 'fail', 'none'];
const say = speaker(t);
const toneOf = ({ verdict }) => verdict ?? 'none';

/** A section of the room's page; see room_sections.js. */
export function section(room) {
  const found = signal(null); // the newest answer
  const fault = signal(null);
  const opened = signal(null); // a seat
  const is_form = signal(false);
  const running = signal(null); // of the management machine's check: seconds so far
  const path = `/v1/batches/${room.place.batch.batch_id}/devices`;
  const picture = Object.assign(document.createElement('video'), { muted: true, playsInline: true });

  async function look() {
    try {
      found.value = await room.call('GET', `${path}?${room.query}`);
      fault.value = null;
    } catch (problem) {
      fault.value = problem;
    }
  }

  async function checkHere() {
    const began = performance.now();
    const tick = () => (running.value = Math.floor((performance.now() - began) / 1000));
    tick();
    const ticking = setInterval(tick, 500);
    const line = openLine({ path: `${path}/probe`, token: room.key });
    const judged = (measured) => room.call('POST', `${path}?${room.query}`, { json: measured });
    try {
      await keepShell(() => false);
      const { seat } = await checkMachine({ line, token: null, judged, told: () => {}, onStream: () => picture });
      await look();
      opened.value = seat;
    } catch (problem) {
      fault.value = problem;
    } finally {
      clearInterval(ticking);
      running.value = null;
    }
  }

  function openForm() {
    opened.value = null; // a machine's panel would take the focus again on the way back
    is_form.value = true;
  }

  function leaveForm() {
    is_form.value = false;
    requestAnimationFrame(() => document.getElementById('acceptance')?.focus());
  }

  function View() {
    useEffect(() => {
      addStyle('device.css');
      look();
      const timer = setInterval(() => document.hidden || look(), LOOK_MS);
      return () => clearInterval(timer);
    }, []);
    if (!found.value) return html`<main class="room-main"><p class="lead" role="status">${fault.value ? told(fault.value) : say('machines.loading')}</p></main>`;
    if (is_form.value) return html`<${Acceptance} say=${say} found=${found.value} onBack=${leaveForm} />`;
    const { machines } = found.value;
    const shown = machines.find(({ seat }) => seat === opened.value);
    const close = () => {
      document.querySelector('.machine[aria-pressed="true"]')?.focus();
      opened.value = null;
    };
    return html`<div class="room-columns">
      <main class="room-main">
        ${fault.value && html`<p class="trouble" role="alert">${told(fault.value)}</p>`}
        <div class="machine-head">
          <${Counts} machines=${machines} />
          <button type="button" id="check-here" disabled=${running.value !== null} onclick=${checkHere}>${running.value === null ? say('machines.here') : say('machines.here_running', { seconds: running.value })}</button>
          <button type="button" class="main" id="acceptance" onclick=${openForm}>${say('machines.form')}</button>
        </div>
        <ul class="machines">${machines.map((machine) => html`<${Card} key=${machine.seat} machine=${machine} is_open=${machine === shown}
          onclick=${() => (opened.value = machine === shown ? null : machine.seat)} />`)}</ul>
      </main>
      <aside class="side">${shown ? html`<${Panel} key=${shown.seat} machine=${shown} onClose=${close} />` : html`<${Summary} found=${found.value} />`}</aside>
    </div>`;
  }

  return { name: 'device.tab', View };
}

const told = (problem) => refusal(say, problem) ?? explain(problem);

function Counts({ machines }) {
  const count = (tone) => machines.filter((machine) => toneOf(machine) === tone).length;
  return html`<dl class="counts">${TONES.map((tone) => html`<div class=${count(tone) ? '' : 'none'} data-count=${tone} data-tone=${tone}>
    <dt>${say(`verdict.${tone}`)}</dt><dd>${count(tone)}</dd></div>`)}</dl>`;
}

function Card({ machine, is_open, onclick }) {
  const { seat, role, failing, checked_ms } = machine;
  const named = failing.slice(0, NAMES_SHOWN).map((name) => say(`check.${name}`));
  return html`<li><button type="button" class="machine" data-tone=${toneOf(machine)} data-seat=${seat} aria-pressed=${is_open} onclick=${onclick}>
    <span class="machine-top"><span class="machine-seat" data-role=${role}>${seat}</span><${Verdict} say=${say} verdict=${machine.verdict} /></span>
    <span class="machine-failing">${named.join(say('machines.comma'))}${failing.length > named.length && say('machines.more', { n: failing.length })}</span>
    <span class="machine-time">${checked_ms ? wallClock(checked_ms, true) : ''}</span>
  </button></li>`;
}

function Panel({ machine, onClose }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus({ preventScroll: true }), []);
  const { seat, checks, checked_ms, findings } = machine;
  const by_name = new Map(findings.map((finding) => [finding.name, finding]));
  return html`<section class="panel" aria-labelledby="panel-title">
    <div class="panel-head"><h2 id="panel-title" tabindex="-1" ref=${heading}>${seat} <${Verdict} say=${say} verdict=${machine.verdict} /></h2>
      <button type="button" class="quiet" id="close" onclick=${onClose}>${say('machines.close')}</button></div>
    ${checked_ms ? html`<p class="hint">${say('machines.checked', { time: wallClock(checked_ms, true), n: checks })}</p>
      <ul class="machine-checks">${CHECKS.filter((name) => by_name.has(name)).map((name) => html`<${CheckRow} say=${say} name=${name} finding=${by_name.get(name)} />`)}</ul>`
      : html`<p>${say(machine.role === 'management' ? 'machines.how_here' : 'machines.how')}</p>`}
  </section>`;
}

function Summary({ found }) {
  const { acceptance, candidates, tier, share } = found;
  return html`<section class="panel"><h2>${say('form.title')}</h2>
    <dl class="machine-roles">${acceptance.counts.map(({ role, required, passed, found: there }) => html`<div><dt>${say(`role.${role}`)}</dt>
      <dd>${say('machines.role', { required, passed, found: there })}</dd></div>`)}</dl>
    <p class="hint">${say('device.line', { candidates, up: tier.up_mbit_s, down: tier.down_mbit_s, share_up: share.up_kbit_s, share_down: share.down_kbit_s })}</p>
    <p class="hint">${say(found.kind === 'device_check' ? 'machines.own' : 'machines.any')}</p>
  </section>`;
}
