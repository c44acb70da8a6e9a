// What the page says, in Chinese unless the candidate chose English, and how large and strong it is shown. A component
// that says something is drawn again when the language changes. The choices last for the sitting: they survive a reload
// and end with the way back to the login after it.

import { wallClock } from './clock.js';
import { effect, signal } from './html.js';
import { zh } from './words.zh.js';

const KEPT = 'liankao.look';
const SIZES = ['normal', 'large', 'largest'];
const PLAIN = { language: 'zh', size: 'normal', contrast: 'normal' };

const look = signal({ ...PLAIN, ...remembered() });
const english = signal(null); // fetched when it is first wanted

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null; // not ours: begin plainly
  }
}

effect(() => {
  const { language, size, contrast } = look.value;
  if (language === 'en' && !english.value) import('./words.en.js').then(({ en }) => (english.value = en));
  Object.assign(document.documentElement.dataset, { size, contrast });
  document.documentElement.lang = language === 'en' && english.value ? 'en' : 'zh-CN';
});

function choose(changes) {
  look.value = { ...look.value, ...changes };
  localStorage.setItem(KEPT, JSON.stringify(look.value));
}

const learnt = {};

/** Words of a module that is fetched only when it is needed: {zh: {name: text}, en: {…}}. */
export function learn(words) {
  Object.assign(zh, words.zh);
  Object.assign(learnt, words.en);
}

/** The text named `name`, `{placeholders}` filled. */
export function t(name, values = {}) {
  const table = (look.value.language === 'en' && english.value) || zh;
  const text = table[name] ?? (table === zh ? undefined : learnt[name]) ?? zh[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, placeholder) => values[placeholder] ?? whole);
}

/** The text for a code of the engine's, or the engine's own words where there is none. */
export function explain(problem) {
  const name = `problem.${problem.code}`;
  const { check_in_ms } = problem.body ?? {};
  if (check_in_ms) return t(`${name}_until`, { time: wallClock(check_in_ms, true) });
  return name in zh ? t(name) : t('problem.other', { detail: problem.detail || problem.message, code: problem.code ?? '' });
}

export const size = () => look.value.size;
export const highContrast = () => look.value.contrast === 'high';
export const switchLanguage = () => choose({ language: look.value.language === 'zh' ? 'en' : 'zh' });
export const switchSize = () => choose({ size: SIZES[(SIZES.indexOf(look.value.size) + 1) % SIZES.length] });
export const switchContrast = () => choose({ contrast: highContrast() ? 'normal' : 'high' });

/** The next candidate at this machine begins plainly. */
export function forgetLook() {
  look.value = { ...PLAIN };
  localStorage.removeItem(KEPT);
}
