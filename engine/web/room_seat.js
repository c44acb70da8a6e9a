// One seat in full, and what a proctor may do for it.

import { Problem } from './api.js';
import { html, useEffect, useRef, useSignal } from './html.js';
import { EventList } from './room_feed.js';
import { asksToMove, isIn, silentSince } from './room_state.js';
import { explain, span, t, timeOfDay } from './room_words.js';

const PROCTOR = 'liankao.proctor.name'; // in this tab: who sits at it does not change for every act
const REASONS = ['1', '2', '3', '4'];

export function SeatPanel({ room, seat, items, now_ms, onClose }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus({ preventScroll: true }), []);
  const events = room.eventsOf(seat);
  const silent_ms = silentSince(seat, now_ms);
  const seen = () => {
    if (!isIn(seat) && seat.state !== 'submitted' && seat.state !== 'collected') return t('seat.seen_never');
    if (seat.seen_ms === null) return t('seats.unknown');
    return !isIn(seat) || silent_ms ? t('seat.seen_at', { time: timeOfDay(seat.seen_ms), span: span(now_ms - seat.seen_ms) }) : t('seat.seen_now');
  };
  const facts = [
    ['ticket', seat.admission_ticket],
    ['state', t(`state.${seat.state}`)],
    ['answered', seat.answered === null ? '–' : items ? t('seats.answered', { answered: seat.answered, items }) : seat.answered],
    ['seen', seen()],
    ['ends', html`${timeOfDay(seat.ends_ms)} ${seat.extra_time_s > 0 && html`<span class="hint">${t('seat.extra', { n: Math.ceil(seat.extra_time_s / 60) })}</span>`}`],
    ['left', left(seat)],
  ];
  return html`<section class="panel" aria-labelledby="panel-title">
    <div class="panel-head"><h2 id="panel-title" tabindex="-1" ref=${heading}>${t('seat.heading', { seat: seat.seat })} · ${seat.name}</h2>
      <button type="button" class="quiet" id="close" onclick=${onClose}>${t('seat.close')}</button></div>
    <dl class="seat-facts">${facts.map(([name, fact]) => html`<div><dt>${t(`seat.${name}`)}</dt><dd>${fact}</dd></div>`)}</dl>
    ${isIn(seat) && html`<${Takeover} room=${room} seat=${seat} now_ms=${now_ms} />`}
    ${room.sections.map(({ SeatPart }) => SeatPart && html`<${SeatPart} seat=${seat} />`)}
    <h3>${t('seat.events')}</h3>
    ${events.length === 0 ? html`<p class="hint">${t('seat.no_events')}</p>` : html`<${EventList} events=${events} />`}
    <p class="hint">${t('seat.left_note')}</p>
  </section>`;
}

function left(seat) {
  if (!seat.left) return t('seat.left_never');
  const times = seat.away_ms ? t('seat.left_says', { n: seat.left, span: span(seat.away_ms) }) : t('seat.left_times', { n: seat.left });
  return seat.is_away && isIn(seat) ? html`${times} <span class="note" data-note="away">${t('seats.away')}</span>` : times;
}

function Takeover({ room, seat, now_ms }) {
  const is_asking = useSignal(false);
  const is_busy = useSignal(false);
  const fault = useSignal(null);
  const typed = useRef({ proctor: sessionStorage.getItem(PROCTOR) ?? '', reason: '' }).current;
  const rule = room.view.value.batch.takeover;
  const until_ms = seat.takeover_until_ms > now_ms ? seat.takeover_until_ms : null;
  if (rule === 'free') return html`<div class="act"><h3>${t('takeover.title')}</h3><p class="hint">${t('takeover.free')}</p></div>`;

  async function allow(event) {
    event.preventDefault();
    if (is_busy.value) return;
    const act = { proctor: typed.proctor.trim(), reason: typed.reason.trim() };
    if (!act.proctor || !act.reason) {
      fault.value = () => t('takeover.missing');
      document.getElementById(act.proctor ? 'reason' : 'proctor').focus();
      return;
    }
    is_busy.value = true;
    fault.value = null;
    try {
      sessionStorage.setItem(PROCTOR, act.proctor);
      const allowed_ms = await room.allowTakeover(seat, act);
      if (allowed_ms === null) fault.value = () => t('takeover.needless');
      else is_asking.value = false;
    } catch (problem) {
      fault.value = () => explain(problem instanceof Problem ? problem : {});
    } finally {
      is_busy.value = false;
    }
  }

  const field = (name, attributes) => html`<div class="field"><label for=${name}>${t(`takeover.${name}`)}</label>
    <input id=${name} defaultValue=${typed[name]} autocomplete="off" spellcheck="false" oninput=${(event) => (typed[name] = event.target.value)} ...${attributes} /></div>`;
  return html`<div class="act"><h3>${t('takeover.title')}</h3>
    ${asksToMove(seat, now_ms) && html`<p class="asks" role="status">${t('takeover.asked', { time: timeOfDay(seat.asked_ms) })}</p>`}
    ${until_ms && html`<p class="allowed" role="status">${t('takeover.allowed', { time: timeOfDay(until_ms) })}</p>`}
    ${!is_asking.value ? html`${!until_ms && html`<p class="hint">${t(`takeover.why_${rule}`)}</p>`}
      <button type="button" id="takeover" onclick=${() => (is_asking.value = true)}>${t(until_ms ? 'takeover.again' : 'takeover.open')}</button>` : html`<form novalidate onsubmit=${allow}>
      ${field('proctor', { maxlength: 100 })}
      ${field('reason', { maxlength: 500, list: 'reasons' })}
      <datalist id="reasons">${REASONS.map((name) => html`<option value=${t(`takeover.reason_${name}`)}></option>`)}</datalist>
      ${fault.value && html`<p class="alert" role="alert">${fault.value()}</p>`}
      <div class="actions"><button class="main" type="submit">${t(is_busy.value ? 'takeover.busy' : 'takeover.allow')}</button>
        <button type="button" onclick=${() => (is_asking.value = false)}>${t('takeover.cancel')}</button></div>
    </form>`}
  </div>`;
}
