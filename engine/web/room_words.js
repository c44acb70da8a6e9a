// What the room's page says, in Chinese unless the proctor chose English.

import { effect, signal } from './html.js';
import { zh } from './room_words.zh.js';

const KEPT = 'liankao.room.language';

const language = signal(localStorage.getItem(KEPT) === 'en' ? 'en' : 'zh');
const english = signal(null); // fetched when it is first wanted

effect(() => {
  if (language.value === 'en' && !english.value) import('./room_words.en.js').then(({ en }) => (english.value = en));
  document.documentElement.lang = language.value === 'en' && english.value ? 'en' : 'zh-CN';
});

/** The text named `name`, `{placeholders}` filled. */
export function t(name, values = {}) {
  const table = (language.value === 'en' && english.value) || zh;
  const text = table[name] ?? zh[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, placeholder) => values[placeholder] ?? whole);
}

/** The text for a refusal of the engine's, or its own words. */
export function explain(problem) {
  const name = `problem.${problem.code ?? 'unreachable'}`;
  return name in zh ? t(name) : t('problem.other', { detail: problem.detail || problem.message, code: problem.code ?? '' });
}

const CLOCK = new Intl.DateTimeFormat('zh-CN', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: 'Asia/Shanghai' });

/** An instant as the exam's wall clock shows it, always to the second: a list of them stands in one line. */
export const timeOfDay = (ms) => CLOCK.format(ms);

/** A span of time in words, as rough as a glance wants it. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return t('span.seconds', { n: seconds });
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? t('span.minutes', { n: minutes }) : t('span.hours', { h: Math.floor(minutes / 60), m: minutes % 60 });
}

export function switchLanguage() {
  language.value = language.value === 'zh' ? 'en' : 'zh';
  localStorage.setItem(KEPT, language.value);
}
