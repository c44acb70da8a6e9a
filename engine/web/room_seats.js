// All seats at a glance, and one of them in full. A seat's state is told by a word first and by colour second; what wants
// a look (a silent machine, a window left) has a line of its own and a strong edge.

import { html, useSignal } from './html.js';
import { Feed } from './room_feed.js';
import { SeatPanel } from './room_seat.js';
import { asksToMove, isIn, silentSince } from './room_state.js';
import { span, t, timeOfDay } from './room_words.js';

/** `now_ms` is the server's time, which moves. */
export function SeatsView({ room, now_ms }) {
  const opened = useSignal(null); // a sitting's id
  const view = room.view.value;
  if (!view) return html`<main class="room-main"><p class="lead busy" role="status">${t('seats.loading')}</p></main>`;
  const { seats, items, is_complete } = view;
  const shown = seats.find(({ sitting_id }) => sitting_id === opened.value);
  const close = () => {
    document.querySelector('.seat[aria-pressed="true"]')?.focus();
    opened.value = null;
  };
  const card = (seat) => html`<${Card} key=${seat.sitting_id} room=${room} seat=${seat} items=${items} now_ms=${now_ms} is_open=${seat === shown}
    onclick=${() => (opened.value = seat === shown ? null : seat.sitting_id)} />`;
  return html`<div class="room-columns">
    <main class="room-main">
      ${room.trouble.value !== null && html`<p class="trouble" role="alert">${t('seats.trouble', { time: timeOfDay(view.server_ms) })}</p>`}
      <${Counts} seats=${seats} now_ms=${now_ms} />
      ${seats.length === 0 && html`<p class="hint">${t('seats.empty')}</p>`}
      ${!is_complete && html`<p class="hint">${t('seats.more', { n: seats.length })}</p>`}
      <ul class="seats">${seats.map(card)}</ul>
    </main>
    <aside class="side">
      ${shown ? html`<${SeatPanel} key=${shown.sitting_id} room=${room} seat=${shown} items=${items} now_ms=${now_ms} onClose=${close} />` : html`<${Feed} room=${room} />`}
    </aside>
  </div>`;
}

function Counts({ seats, now_ms }) {
  const count = (is) => seats.filter(is).length;
  const state = (...names) => count((seat) => names.includes(seat.state));
  const numbers = [
    ['all', seats.length, ''],
    ['in', count(isIn), 'in_progress'],
    ['expected', state('expected'), 'expected'],
    ['done', state('submitted', 'collected'), 'submitted'],
    ['absent', state('absent'), 'absent'],
    ['silent', count((seat) => silentSince(seat, now_ms) > 0), 'silent'],
    ['away', count(isAway), 'away'],
    ['asks', count((seat) => asksToMove(seat, now_ms)), 'asks'],
  ];
  return html`<dl class="counts">${numbers.map(([name, number, tone]) => html`<div class=${number ? '' : 'none'} data-count=${name} data-tone=${tone}><dt>${t(`count.${name}`)}</dt><dd>${number}</dd></div>`)}</dl>`;
}

const isAway = (seat) => seat.is_away && seat.state === 'in_progress';

function Card({ room, seat, items, now_ms, is_open, onclick }) {
  const silent_ms = silentSince(seat, now_ms);
  const asks = asksToMove(seat, now_ms);
  const tone = asks ? 'asks' : silent_ms ? 'silent' : isAway(seat) ? 'away' : seat.state;
  const may_move = seat.takeover_until_ms > now_ms;
  const notes = [
    silent_ms && [t('seats.silent', { span: span(now_ms - silent_ms) }), 'silent'],
    isAway(seat) && !silent_ms && [t('seats.away'), 'away'],
    may_move && [t('seats.takeover'), 'move'],
    asks && [t('seats.asks'), 'asks'],
    (silent_ms || !isAway(seat)) && seat.left > 0 && [t('seats.left', { n: seat.left }), 'plain'],
    seat.extra_time_s > 0 && [t('seats.extra', { n: Math.ceil(seat.extra_time_s / 60) }), 'plain'],
    ...room.sections.map((section) => section.mark?.(seat)).map((mark) => mark && [mark, 'plain']),
  ].filter(Boolean);
  const done = items && seat.answered !== null && seat.state !== 'expected' && seat.state !== 'absent';
  return html`<li><button type="button" class="seat" data-tone=${tone} data-seat=${seat.seat} data-state=${seat.state} aria-pressed=${is_open} onclick=${onclick}>
    <span class="seat-top"><span class="seat-number">${seat.seat}</span><span class="seat-state">${t(`state.${seat.state}`)}</span></span>
    <span class="seat-name">${seat.name}</span>
    ${done && html`<span class="seat-answered"><meter min="0" max=${items} value=${seat.answered} aria-hidden="true"></meter><span>${t('seats.answered', { answered: seat.answered, items })}</span></span>`}
    <span class="seat-notes">${notes.map(([text, kind]) => html`<span class="note" data-note=${kind}>${text}</span>`)}</span>
  </button></li>`;
}
