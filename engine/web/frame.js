// What the screens around the exam share: the head with language and text size, the steps, dialogs, plain messages.

import { h } from './dom.js';
import { switchLanguage, switchSize, t } from './words.js';

const STEPS = ['login', 'confirm', 'pledge', 'wait'];

/** Language and text size; `onSwitch` redraws. */
export function switches(onSwitch) {
  const button = (name, action) => h('button', { class: 'quiet', type: 'button', onclick: () => (action(), onSwitch()) }, t(name));
  return h('div', { class: 'switches' }, button('switch.size', switchSize), button('switch.language', switchLanguage));
}

/** A screen outside the exam itself: `step` marks the way, `title` is its heading and gets the focus. */
export function frame(app, { step, title, wide = false }, ...content) {
  const view = app.view;
  return [
    h('header', { class: 'head' },
      h('span', { class: 'brand' }, t('brand')),
      h('span', { class: 'head-title' }, view?.title ?? ''),
      switches(app.redraw)),
    h('main', { class: wide ? 'sheet wide' : 'sheet' },
      step && steps(step),
      h('h1', { tabIndex: -1 }, title),
      ...content),
  ];
}

function steps(current) {
  const reached = STEPS.indexOf(current);
  const mark = (index) => (index < reached ? 'done' : index === reached ? 'now' : 'next');
  return h('ol', { class: 'steps' },
    STEPS.map((name, index) => h('li', { class: mark(index), 'aria-current': index === reached && 'step' }, t(`step.${name}`))));
}

/** A question over the page; resolves to the chosen name, or null when it was closed. */
export function ask(title, content, choices) {
  return new Promise((resolve) => {
    const choose = (name) => () => dialog.close(name);
    const buttons = choices.map(({ name, text, kind }) => h('button', { type: 'button', class: kind, onclick: choose(name) }, text));
    const heading = h('h2', { id: 'dialog-title' }, title);
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, heading, content, h('div', { class: 'actions' }, buttons));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
    document.body.append(dialog);
    dialog.showModal();
    buttons[0].focus();
  });
}

/** A message that nothing follows but its button. */
export function messageScreen(app, { title, text, button, onButton }) {
  return {
    render: () => frame(app, { title: t(title) },
      h('p', { class: 'lead' }, t(text)),
      button && h('div', { class: 'actions' }, h('button', { type: 'button', class: 'main', onclick: onButton }, t(button)))),
  };
}

/** Shown while the engine is asked something the page cannot go on without. */
export function busyScreen(app, link) {
  const line = h('p', { class: 'lead busy', role: 'status' });
  const tell = () => (line.textContent = t(link.up ? 'busy.connecting' : 'busy.trouble'));
  link.addEventListener('change', tell);
  return {
    render: () => (tell(), frame(app, { title: t('brand') }, line)),
    stop: () => link.removeEventListener('change', tell),
  };
}

/** An error beside what it is about; screen readers hear it. */
export function alertLine(text) {
  return h('p', { class: 'alert', role: 'alert' }, text);
}
