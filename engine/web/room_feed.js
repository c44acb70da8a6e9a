// What happened in the room, the newest first.

import { html } from './html.js';
import { span, t, timeOfDay } from './room_words.js';

const SHOWN = 100;

export function Feed({ room }) {
  const seats = new Map(room.view.value.seats.map((seat) => [seat.sitting_id, seat]));
  return html`<section class="feed"><h2>${t('feed.title')}</h2>
    ${room.events.value.length === 0 && html`<p class="hint">${t('feed.none')}</p>`}
    <${EventList} events=${room.events.value} who=${(event) => seats.get(event.sitting_id)} /></section>`;
}

/** `who(event)` gives the seat to name beside it, if it is to be named. */
export function EventList({ events, who = () => null }) {
  const line = (event) => {
    const seat = who(event);
    return html`<li data-kind=${event.kind}>
      <time>${timeOfDay(event.at_ms)}</time>
      <span>${seat && html`<strong>${seat.seat} ${seat.name}</strong> `}${says(event)}
        ${(event.proctor || event.reason) && html`<span class="event-by">${by(event)}</span>`}</span></li>`;
  };
  const newest = [...events].reverse().sort((one, other) => other.at_ms - one.at_ms).slice(0, SHOWN);
  return html`<ol class="events">${newest.map(line)}</ol>`;
}

function says(event) {
  if (event.kind === 'window_returned' && event.away_ms !== null) return t('event.window_returned_after', { span: span(event.away_ms) });
  return t(`event.${event.kind}`);
}

function by({ proctor, reason }) {
  return proctor && reason ? t('event.by', { proctor, reason }) : proctor || reason;
}
