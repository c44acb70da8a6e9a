// What the page says, in Chinese unless the candidate chose English.

import { wallClock } from './clock.js';
import { en } from './words.en.js';
import { zh } from './words.zh.js';

const LANGUAGE = 'liankao.language';
const SIZE = 'liankao.size';
const TABLES = { zh, en };
const SIZES = ['normal', 'large', 'largest'];

let language = remembered(LANGUAGE, Object.keys(TABLES));
let size = remembered(SIZE, SIZES);
apply();

function remembered(key, known) {
  const found = localStorage.getItem(key);
  return known.includes(found) ? found : known[0];
}

function apply() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.documentElement.dataset.size = size;
}

/** The text named `name`, `{placeholders}` filled. */
export function t(name, values = {}) {
  const text = TABLES[language][name] ?? zh[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, placeholder) => values[placeholder] ?? whole);
}

/** The text for a code of the engine's, or the engine's own words where there is none. */
export function explain(problem) {
  const name = `problem.${problem.code}`;
  const { check_in_ms } = problem.body ?? {};
  if (check_in_ms) return t(`${name}_until`, { time: wallClock(check_in_ms, true) });
  return name in zh ? t(name) : t('problem.other', { detail: problem.detail || problem.message, code: problem.code ?? '' });
}

/** To the other language. */
export function switchLanguage() {
  language = language === 'zh' ? 'en' : 'zh';
  localStorage.setItem(LANGUAGE, language);
  apply();
}

/** To the next text size. */
export function switchSize() {
  size = SIZES[(SIZES.indexOf(size) + 1) % SIZES.length];
  localStorage.setItem(SIZE, size);
  apply();
}
