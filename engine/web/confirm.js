// Two steps before the waiting: personal data are confirmed, the pledge is accepted.

import { call, untilAnswered } from './api.js';
import { wallClock } from './clock.js';
import { ask, tell } from './dialog.js';
import { Alert, Frame } from './frame.js';
import { html, signal } from './html.js';
import { explain, t } from './words.js';

const PLEDGES = ['pledge.1', 'pledge.2', 'pledge.3', 'pledge.4', 'pledge.5'];

/** The candidate compares what the roster says with the papers in hand. */
export function confirmScreen(app) {
  const fault = signal(null);
  const wrong = () => tell(t('confirm.wrong_title'), html`<p>${t('confirm.wrong_help')}</p>`);

  function rows() {
    const { candidate, title, subject, kind, starts_ms, ends_ms } = app.view;
    const exam = kind === 'formal' ? title : `${title}（${t(`kind.${kind}`)}）`;
    const time = `${wallClock(starts_ms, true)} – ${wallClock(ends_ms)}`;
    const all = [['name', candidate.name, 'large'], ['ticket', candidate.admission_ticket, 'large'], ['exam', exam, 'whole'],
      ['subject', t(`subject.${subject}`), 'whole'], ['time', time, 'whole'], ['site', candidate.site, 'whole'], ['room', candidate.room],
      ['seat', candidate.seat, 'large']];
    return all.filter(([, value]) => value).map(([name, value, kind = '']) =>
      html`<div class=${`row ${kind}`}><dt>${t(`confirm.${name}`)}</dt><dd>${value}</dd></div>`);
  }

  const View = () => html`<${Frame} app=${app} step="confirm" title=${t('confirm.title')}>
    <p class="lead">${t('confirm.lead')}</p>
    <dl class="facts">${rows()}</dl>
    <${Alert} text=${fault.value} />
    <div class="actions">
      <button type="button" class="main" id="confirm" onclick=${() => step(app, 'confirm', fault)}>${t('confirm.right')}</button>
      <button type="button" onclick=${wrong}>${t('confirm.wrong')}</button>
    </div>
  </${Frame}>`;

  return { View };
}

/** The pledge; refusing it leaves the exam. */
export function pledgeScreen(app) {
  const fault = signal(null);
  const ticked = signal(false);

  function accept() {
    if (ticked.value) return step(app, 'pledge', fault);
    fault.value = () => t('pledge.tick');
    return document.getElementById('pledge-tick').focus();
  }

  async function refuse() {
    const chosen = await ask(t('pledge.refuse_title'), html`<p>${t('pledge.refuse_help')}</p>`,
      [{ name: 'back', text: t('pledge.back') }, { name: 'leave', text: t('pledge.leave'), kind: 'grave' }]);
    if (chosen !== 'leave') return;
    // The engine answers a refusal with 409; there is nothing to be done about any answer.
    await call('POST', '/v1/sitting/pledge', { token: app.token, json: { accepted: false } }).catch(() => {});
    app.leave('pledge.left');
  }

  const View = () => html`<${Frame} app=${app} step="pledge" title=${t('pledge.title')}>
    <ol class="pledge">${PLEDGES.map((name) => html`<li>${t(name)}</li>`)}</ol>
    <label class="tick">
      <input type="checkbox" id="pledge-tick" checked=${ticked.value} onchange=${(event) => (ticked.value = event.target.checked)} />${t('pledge.check')}
    </label>
    <${Alert} text=${fault.value} />
    <div class="actions">
      <button type="button" class="main" id="pledge" onclick=${accept}>${t('pledge.accept')}</button>
      <button type="button" onclick=${refuse}>${t('pledge.refuse')}</button>
    </div>
  </${Frame}>`;

  return { View };
}

async function step(app, name, fault) {
  try {
    const { state } = await untilAnswered(() => call('POST', `/v1/sitting/${name}`, { token: app.token, json: { accepted: true } }));
    app.stateIs(state);
  } catch (problem) {
    // A repeated call whose first reply was lost is out of order: the sitting itself tells where it stands.
    if (problem.code === 'sitting.order') await app.resume();
    else if (!app.refused(problem)) fault.value = () => explain(problem);
  }
}
