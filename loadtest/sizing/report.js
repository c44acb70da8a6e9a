// The first language is the browser's; the switch itself needs no script.
const zh = document.getElementById("zh"), en = document.getElementById("en");
const told = () => { document.documentElement.lang = en.checked ? "en" : "zh-CN"; };
(/^zh\b/i.test(navigator.language) ? zh : en).checked = true;
zh.addEventListener("change", told);
en.addEventListener("change", told);
told();
