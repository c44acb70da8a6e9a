// What the screens around the exam share: the head with its switches, the steps, plain messages.

import { html } from './html.js';
import { linkUp } from './live.js';
import { highContrast, size, switchContrast, switchLanguage, switchSize, t } from './words.js';

const STEPS = ['login', 'confirm', 'pledge', 'wait'];
const STEPS_WITH_PHOTO = ['login', 'confirm', 'pledge', 'photo', 'wait'];

/** Text size, contrast and language. */
export function Switches() {
  const button = (id, action, text, attributes) => html`<button type="button" class="quiet" id=${id} onclick=${action} ...${attributes}>${text}</button>`;
  return html`<div class="switches">
    ${button('size', switchSize, html`${t('switch.size')}<span class="size-now">${t(`size.${size()}`)}</span>`)}
    ${button('contrast', switchContrast, t('switch.contrast'), { 'aria-pressed': highContrast() })}
    ${button('language', switchLanguage, t('switch.language'), { lang: t('switch.language_lang') })}
  </div>`;
}

/** Beside the title of an exam that does not count. */
export function KindMark({ view }) {
  return view && view.kind !== 'formal' ? html`<span class="kind-mark">${t(`kind.${view.kind}`)}</span>` : null;
}

/** A screen outside the exam itself: `step` marks the way, `title` is its heading and gets the focus. */
export function Frame({ app, step, steps = stepsOf(app.view), title, wide = false, children }) {
  return html`
    <header class="head">
      <span class="brand">${t('brand')}</span>
      <span class="head-title">${app.view?.title ?? ''}<${KindMark} view=${app.view} /></span>
      <${Switches} />
    </header>
    <main class=${wide ? 'sheet wide' : 'sheet'}>
      ${step && html`<${Steps} current=${step} steps=${steps} />`}
      <h1 tabindex="-1">${title}</h1>
      ${children}
    </main>`;
}

const stepsOf = (view) => (view?.rules.photo === 'required' ? STEPS_WITH_PHOTO : STEPS);

function Steps({ current, steps }) {
  const reached = steps.indexOf(current);
  const mark = (index) => (index < reached ? 'done' : index === reached ? 'now' : 'next');
  const step = (name, index) => html`<li class=${mark(index)} aria-current=${index === reached ? 'step' : null}>${t(`step.${name}`)}</li>`;
  return html`<ol class="steps" aria-label=${t('step.list')}>${steps.map(step)}</ol>`;
}

/** A message that nothing follows but its button. */
export function messageScreen(app, { title, text, button, onButton }) {
  const View = () => html`<${Frame} app=${app} title=${t(title)}>
    <p class="lead">${t(text)}</p>
    ${button && html`<div class="actions"><button type="button" class="main" onclick=${onButton}>${t(button)}</button></div>`}
  </${Frame}>`;
  return { View };
}

/** Shown while the engine is asked something the page cannot go on without. */
export function busyScreen(app) {
  const View = () => html`<${Frame} app=${app} title=${t('brand')}>
    <p class="lead busy" role="status">${t(linkUp.value ? 'busy.connecting' : 'busy.trouble')}</p>
  </${Frame}>`;
  return { View };
}

/** An error beside what it is about; screen readers hear it. `text` is a function, so that it follows the language. */
export function Alert({ text }) {
  return text ? html`<p class="alert" role="alert">${text()}</p>` : null;
}
