// The bar over the exam: who sits here, the one truthful sentence about all answers, the time left, handing in.

import { link } from './api.js';
import * as clock from './clock.js';
import { h, setText, speak } from './dom.js';
import { switches } from './frame.js';
import { t } from './words.js';

/** {element, update(), tick()}; `handIn` is called by the button, `mode()` gives null, `readonly` or `ended`. */
export function barOf(app, journal, { mode, handIn }) {
  const { candidate, title } = app.view;
  const pill = h('p', { class: 'pill' });
  const left = h('span', { class: 'left' });
  const clockBox = h('div', { class: 'clock', role: 'timer' }, h('span', { class: 'clock-label' }, t('exam.left')), left);
  const earliest = h('small', {});
  const button = h('button', { type: 'button', class: 'hand-in', id: 'hand-in', onclick: handIn }, t('exam.hand_in'), earliest);
  let spoken = '';

  function update() {
    const [state, text] = overall(journal, mode());
    pill.dataset.state = state;
    setText(pill, text);
    if (['trouble', 'offline', 'broken'].includes(state) && text !== spoken) speak(text);
    spoken = text;
    button.disabled = mode() !== null;
  }

  function tick() {
    const now_ms = clock.now();
    const { ends_ms, rules } = app.view;
    setText(left, clock.countdown(ends_ms - now_ms));
    clockBox.classList.toggle('ending', now_ms >= rules.warning_ms);
    const early = now_ms < rules.earliest_submit_ms;
    button.classList.toggle('early', early);
    setText(earliest, early ? t('exam.earliest', { time: clock.wallClock(rules.earliest_submit_ms) }) : '');
  }

  const place = [candidate.name, candidate.admission_ticket, candidate.seat && `${t('confirm.seat')} ${candidate.seat}`].filter(Boolean).join('　');
  const element = h('header', { class: 'bar' },
    h('div', { class: 'who' }, h('strong', {}, title), h('span', {}, place)),
    pill, switches(app.redraw), clockBox, button);
  update();
  tick();
  return { element, update, tick };
}

/** The worst that is true of any answer decides: [state, sentence]. */
function overall(journal, mode) {
  const { held, invalid, refused, local, saved, recorded } = journal.counts();
  if (mode === 'readonly') return ['readonly', t('overall.readonly')];
  if (journal.broken) return ['broken', t('overall.broken')];
  if (!link.up) return ['offline', local ? t('overall.offline', { n: local }) : t('overall.offline_none')];
  if (invalid + refused) return ['trouble', t('overall.trouble', { n: invalid + refused })];
  if (mode === 'ended' && !local && !held) return ['ended', t('overall.ended')];
  if (local) return ['local', t('overall.local', { n: local })];
  if (held) return ['held', t('overall.held')];
  if (saved) return ['saved', t('overall.saved')];
  return recorded ? ['recorded', t('overall.recorded')] : ['empty', t('overall.empty')];
}
