// Two steps before the waiting: personal data are confirmed, the pledge is accepted.

import { call, untilAnswered } from './api.js';
import { wallClock } from './clock.js';
import { fill, h } from './dom.js';
import { alertLine, ask, frame } from './frame.js';
import { explain, t } from './words.js';

const PLEDGES = ['pledge.1', 'pledge.2', 'pledge.3', 'pledge.4', 'pledge.5'];

/** The candidate compares what the roster says with the papers in hand. */
export function confirmScreen(app) {
  const messages = h('div');
  const { candidate, title, subject, kind, starts_ms, ends_ms } = app.view;

  async function wrong() {
    await ask(t('confirm.wrong_title'), h('p', {}, t('confirm.wrong_help')), [{ name: 'ok', text: t('dialog.close'), kind: 'main' }]);
  }

  function rows() {
    const exam = kind === 'formal' ? title : `${title}（${t(`kind.${kind}`)}）`;
    const time = `${wallClock(starts_ms, true)} – ${wallClock(ends_ms)}`;
    const all = [['name', candidate.name, 'large'], ['ticket', candidate.admission_ticket, 'large'], ['exam', exam, 'whole'],
      ['subject', t(`subject.${subject}`), 'whole'], ['time', time, 'whole'], ['site', candidate.site, 'whole'], ['room', candidate.room],
      ['seat', candidate.seat, 'large']];
    return all.filter(([, value]) => value).map(([name, value, kind = '']) =>
      h('div', { class: `row ${kind}` }, h('dt', {}, t(`confirm.${name}`)), h('dd', {}, value)));
  }

  return {
    render: () => frame(app, { step: 'confirm', title: t('confirm.title') },
      h('p', { class: 'lead' }, t('confirm.lead')),
      h('dl', { class: 'facts' }, rows()),
      messages,
      h('div', { class: 'actions' },
        h('button', { type: 'button', class: 'main', id: 'confirm', onclick: () => step(app, 'confirm', messages) }, t('confirm.right')),
        h('button', { type: 'button', onclick: wrong }, t('confirm.wrong')))),
  };
}

/** The pledge; refusing it leaves the exam. */
export function pledgeScreen(app) {
  const messages = h('div');
  let ticked = false;

  function accept() {
    if (ticked) step(app, 'pledge', messages);
    else fill(messages, alertLine(t('pledge.tick')));
  }

  async function refuse() {
    const chosen = await ask(t('pledge.refuse_title'), h('p', {}, t('pledge.refuse_help')),
      [{ name: 'back', text: t('pledge.back') }, { name: 'leave', text: t('pledge.leave'), kind: 'grave' }]);
    if (chosen !== 'leave') return;
    // The engine answers a refusal with 409; there is nothing to be done about any answer.
    await call('POST', '/v1/sitting/pledge', { token: app.token, json: { accepted: false } }).catch(() => {});
    app.leave('pledge.left');
  }

  return {
    render: () => frame(app, { step: 'pledge', title: t('pledge.title') },
      h('ol', { class: 'pledge' }, PLEDGES.map((name) => h('li', {}, t(name)))),
      h('label', { class: 'tick' },
        h('input', { type: 'checkbox', id: 'pledge-tick', checked: ticked, onchange: (event) => (ticked = event.target.checked) }), t('pledge.check')),
      messages,
      h('div', { class: 'actions' },
        h('button', { type: 'button', class: 'main', id: 'pledge', onclick: accept }, t('pledge.accept')),
        h('button', { type: 'button', onclick: refuse }, t('pledge.refuse')))),
  };
}

async function step(app, name, messages) {
  try {
    const { state } = await untilAnswered(() => call('POST', `/v1/sitting/${name}`, { token: app.token, json: { accepted: true } }));
    app.stateIs(state);
  } catch (problem) {
    // A repeated call whose first reply was lost is out of order: the sitting itself tells where it stands.
    if (problem.code === 'sitting.order') await app.resume();
    else if (!app.refused(problem)) fill(messages, alertLine(explain(problem)));
  }
}
