// The bar over the exam: who sits here, the one truthful sentence about all answers, the time left, handing in.

import * as clock from './clock.js';
import { KindMark, Switches } from './frame.js';
import { html, useComputed, useEffect } from './html.js';
import { showKeys } from './keys.js';
import { linkUp, now, speak } from './live.js';
import { t } from './words.js';

const SPOKEN = new Set(['trouble', 'offline', 'broken']);

export function Bar({ exam }) {
  const { view } = exam.app;
  const { candidate, title } = view;
  const place = [candidate.name, candidate.admission_ticket, candidate.seat && `${t('confirm.seat')} ${candidate.seat}`].filter(Boolean).join('　');
  return html`<header class="bar">
    <div class="who"><strong>${title}<${KindMark} view=${view} /></strong><span>${place}</span></div>
    <${Overall} exam=${exam} />
    <div class="tools"><${Switches} /><button type="button" class="quiet" id="keys" onclick=${showKeys}>${t('keys.button')}</button></div>
    <${Clock} exam=${exam} />
    <${HandIn} exam=${exam} />
  </header>`;
}

function Overall({ exam }) {
  const [state, text] = overall(exam);
  useEffect(() => {
    if (SPOKEN.has(state)) speak(text);
  }, [text]);
  return html`<p class="pill" data-state=${state}>${text}</p>`;
}

function Clock({ exam }) {
  // Where this machine's reading of the server's clock is a moment behind, nobody is shown more time than there is.
  const left = useComputed(() => clock.countdown(exam.app.view.ends_ms - Math.max(now.value, exam.app.view.starts_ms)));
  const ending = useComputed(() => now.value >= exam.app.view.rules.warning_ms);
  return html`<div class=${ending.value ? 'clock ending' : 'clock'} role="timer"><span class="clock-label">${t('exam.left')}</span><span class="left">${left}</span></div>`;
}

function HandIn({ exam }) {
  const early = useComputed(() => now.value < exam.app.view.rules.earliest_submit_ms);
  const time = clock.wallClock(exam.app.view.rules.earliest_submit_ms);
  return html`<button type="button" class=${early.value ? 'hand-in early' : 'hand-in'} id="hand-in" disabled=${exam.mode() !== null} onclick=${exam.handIn}>
    ${t('exam.hand_in')}${early.value && html`<small>${t('exam.earliest', { time })}</small>`}</button>`;
}

/** The worst that is true of any answer decides: [state, sentence]. */
function overall(exam) {
  const journal = exam.followed.any();
  const mode = exam.mode();
  const { held, invalid, refused, local, saved, recorded } = journal.counts();
  if (mode === 'readonly') return ['readonly', t('overall.readonly')];
  if (journal.broken) return ['broken', t('overall.broken')];
  if (!linkUp.value) return ['offline', local ? t('overall.offline', { n: local }) : t('overall.offline_none')];
  if (invalid + refused) return ['trouble', t('overall.trouble', { n: invalid + refused })];
  if (mode === 'ended' && !local && !held) return ['ended', t('overall.ended')];
  if (local) return ['local', t('overall.local', { n: local })];
  if (held) return ['held', t('overall.held')];
  if (saved) return ['saved', t('overall.saved')];
  return recorded ? ['recorded', t('overall.recorded')] : ['empty', t('overall.empty')];
}
