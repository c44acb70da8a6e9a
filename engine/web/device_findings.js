// The findings of one machine's check, for the page that made it and for the room's. Verdicts are the engine's.

import { html } from './html.js';

/** In the order in which the page shows them; the engine's own (engine/rules/device.py). */
export const CHECKS = ['browser', 'system', 'screen', 'zoom', 'memory', 'processor', 'camera', 'clock', 'storage', 'crypto', 'channel',
  'round_trip', 'down', 'up'];
const WORKS = { ok: 'measured.works', weak: 'measured.broken', fail: 'measured.broken', unknown: 'measured.untold' };

/** What was measured, in words where the engine gives none. */
export function measuredText(say, { name, verdict, measured }) {
  if (measured) return measured;
  return say(['crypto', 'channel', 'storage', 'camera'].includes(name) ? WORKS[verdict] : 'measured.untold');
}

export const requiredText = (say, { name, required }) => required || (name === 'crypto' || name === 'channel' ? say(`required.${name}`) : '');

/** A verdict as a mark that is told apart without colours. */
export function Verdict({ say, verdict, state }) {
  const name = verdict ?? 'none';
  return html`<span class="device-verdict" data-verdict=${name}>${say(state ? `state.${state}` : `verdict.${name}`)}</span>`;
}

/** One check: `finding` once it was judged, `state` before. */
export function CheckRow({ say, name, finding, state }) {
  const { verdict = null, reason } = finding ?? {};
  return html`<li class="device-row" data-check=${name} data-verdict=${verdict ?? state}>
    <span class="device-name">${say(`check.${name}`)}</span>
    <span class="device-measured">${finding && html`<b>${measuredText(say, finding)}</b>
      ${requiredText(say, finding) && html` <span class="device-required">${say('device.required')} ${requiredText(say, finding)}</span>`}`}</span>
    <${Verdict} say=${say} verdict=${verdict} state=${finding ? null : state} />
    ${reason && html`<span class="device-do">${say(`do.${name}.${reason}`)}</span>`}
  </li>`;
}
