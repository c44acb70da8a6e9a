// The room's acceptance form (考场验收单): one sheet of A4 with the demands, what was measured and the engine's verdicts, and
// room for signatures; then every machine by its seat.

import { wallClock } from './clock.js';
import { CHECKS, requiredText, measuredText, Verdict } from './device_findings.js';
import { html, useEffect } from './html.js';

const SIGNED = ['site', 'technician', 'inspector'];
const BYTE_BITS = 8;

/** `found` is the engine's answer of `GET …/devices`; the words are the caller's. */
export function Acceptance({ say, found, onBack }) {
  useEffect(() => document.querySelector('.acceptance h1')?.focus({ preventScroll: true }), []);
  const { acceptance, machines, site, room, title, candidates, tier, share, server_ms } = found;
  const times = machines.map(({ checked_ms }) => checked_ms).filter(Boolean);
  const span = times.length ? between(Math.min(...times), Math.max(...times)) : '–';
  const rate = (mbit_s) => say('form.rate', { mbit_s, mbyte_s: mbit_s / BYTE_BITS });
  const facts = [['site', site], ['room', room], ['batch', title], ['candidates', candidates], ['up', rate(tier.up_mbit_s)], ['down', rate(tier.down_mbit_s)],
    ['share', say('form.share_of', { up: share.up_kbit_s, down: share.down_kbit_s })], ['checked', span]];
  return html`<main class="acceptance-page">
    <div class="acceptance-actions no-print">
      <button type="button" class="main" id="print" onclick=${() => print()}>${say('form.print')}</button>
      <button type="button" id="form-back" onclick=${onBack}>${say('form.back')}</button>
    </div>
    <article class="acceptance">
      <h1 tabindex="-1">${say('form.title')}</h1>
      <dl class="form-facts">${facts.map(([name, value]) => html`<div><dt>${say(`form.${name}`)}</dt><dd>${value}</dd></div>`)}</dl>
      <${Machines} say=${say} counts=${acceptance.counts} />
      <${Demands} say=${say} items=${acceptance.items} />
      <p class="form-verdict">${say('form.verdict')} <${Verdict} say=${say} verdict=${acceptance.verdict} /> <span>${say(`form.says_${acceptance.verdict}`)}</span></p>
      <p class="form-remarks">${say('form.remarks')}</p>
      <dl class="form-signed">${SIGNED.map((who) => html`<div><dt>${say(`form.signed_${who}`)}</dt><dd></dd></div>`)}<div><dt>${say('form.date')}</dt><dd></dd></div></dl>
      <p class="form-note">${say('form.note', { time: wallClock(server_ms, true) })}</p>
      <${Seats} say=${say} machines=${machines} />
    </article>
  </main>`;
}

function Machines({ say, counts }) {
  return html`<table><thead><tr>${['role', 'required', 'found', 'checked', 'passed', 'judged'].map((name) => html`<th scope="col">${say(`form.col_${name}`)}</th>`)}</tr></thead>
    <tbody>${counts.map(({ role, required, found, checked, passed, verdict }) => html`<tr><th scope="row">${say(`role.${role}`)}</th>
      <td>${say('form.at_least', { n: required })}</td><td>${found}</td><td>${checked}</td><td>${passed}</td><td><${Verdict} say=${say} verdict=${verdict} /></td></tr>`)}</tbody></table>`;
}

function Demands({ say, items }) {
  const by_name = new Map(items.map((item) => [item.name, item]));
  const row = (name) => {
    const item = by_name.get(name);
    if (!item) return html`<tr><th scope="row">${say(`check.${name}`)}</th><td></td><td></td><td></td><td></td><td><${Verdict} say=${say} verdict=${null} /></td></tr>`;
    const { worst, median, counts } = item;
    const tells = median || worst.verdict !== 'ok'; // where all are the same, no seat is the worst
    return html`<tr><th scope="row">${say(`check.${name}`)}</th><td>${requiredText(say, item)}</td>
      <td>${measuredText(say, { name, ...worst })}${tells && html`<span class="form-seat">${say('form.at_seat', { seat: worst.seat })}</span>`}</td><td>${median || '–'}</td>
      <td>${['ok', 'weak', 'fail', 'unknown'].map((verdict) => counts[verdict]).join(' / ')}</td><td><${Verdict} say=${say} verdict=${item.verdict} /></td></tr>`;
  };
  return html`<table class="form-demands"><thead><tr>${['name', 'required', 'worst', 'median', 'counts', 'judged'].map((name) => html`<th scope="col">${say(`form.col_${name}`)}</th>`)}</tr></thead>
    <tbody>${CHECKS.map(row)}</tbody></table>`;
}

function Seats({ say, machines }) {
  return html`<section class="form-seats"><h2>${say('form.seats')}</h2>
    <table><thead><tr>${['seat', 'time', 'failing', 'judged'].map((name) => html`<th scope="col">${say(`form.col_${name}`)}</th>`)}</tr></thead>
    <tbody>${machines.map(({ seat, checked_ms, findings, failing, verdict }) => html`<tr><th scope="row">${seat}</th><td>${checked_ms ? wallClock(checked_ms, true) : '–'}</td>
      <td>${failing.map((name) => amiss(say, findings.find((finding) => finding.name === name))).join(say('form.semicolon')) || '–'}</td>
      <td><${Verdict} say=${say} verdict=${verdict} /></td></tr>`)}</tbody></table></section>`;
}

/** The day once, when it is the same. */
function between(from_ms, until_ms) {
  const [from, until] = [wallClock(from_ms, true), wallClock(until_ms, true)];
  const [day] = from.split(' ');
  return `${from} – ${until.startsWith(day) ? until.slice(day.length + 1) : until}`;
}

const amiss = (say, finding) => `${say(`check.${finding.name}`)} ${measuredText(say, finding)}`;
