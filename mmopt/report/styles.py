"""The style sheet of the page: light and dark, wide and narrow screens, and paper."""

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#5f6b7a;--page:#f6f7f9;--sheet:#fff;--rule:#dfe3e8;--blue:#0072b2;
--alarm:#b3261e;--shade:rgba(31,41,51,.16)}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--page:#14181d;--sheet:#1d232a;--rule:#333c46;
--blue:#56b4e9;--alarm:#ff8a80;--shade:rgba(0,0,0,.5)}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.3rem;margin:0 0 .8rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}p{max-width:75ch}.soft,figcaption,dt,th,.id{color:var(--soft)}
.id{font-size:.85em;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem 0 1.6rem;font-size:.9rem}
a{color:var(--blue);text-decoration:none}a:hover{text-decoration:underline}
section,.card{background:var(--sheet);border:1px solid var(--rule);border-radius:12px}
section{padding:1.4rem 1.5rem;margin:1.25rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.9rem}.card{padding:1rem 1.1rem}
.card b{display:block;font-size:1.75rem;line-height:1.3;color:var(--blue);font-variant-numeric:tabular-nums;
white-space:nowrap}
.card{line-height:1.3}.card span{display:block;font-size:.85rem;color:var(--soft);margin-top:.25rem}
figure{margin:1rem 0}figure:last-child{margin-bottom:0}figcaption{font-size:.9rem;margin-top:.5rem;max-width:85ch}
img{display:block;width:100%;height:auto;background:#fff;border-radius:8px}
.wide{overflow-x:auto}
.map svg{display:block;width:100%;min-width:640px;max-width:900px;background:#fff;border-radius:8px;
font:13px system-ui,sans-serif}
.map .l{fill:none;stroke-linecap:round}.map .p,.map .s{stroke-width:1px}.map g text{fill:#5f6b7a;stroke:none}
.map circle{fill:#fff;stroke:#1f2933;stroke-width:1.5}.map .m{fill:#1f2933}.map .t{fill:#1f2933;font-size:20px;font-weight:700}
.map label{display:flex;gap:.8rem;align-items:center;margin-bottom:.5rem}.map input{flex:1;max-width:32rem}
.data{background:linear-gradient(90deg,var(--sheet) 1rem,transparent) 0/3rem 100% no-repeat local,
linear-gradient(270deg,var(--sheet) 1rem,transparent) 100%/3rem 100% no-repeat local,
linear-gradient(90deg,var(--shade),transparent) 0/.7rem 100% no-repeat,
linear-gradient(270deg,var(--shade),transparent) 100%/.7rem 100% no-repeat}
table{border-collapse:collapse;font-size:.92rem;min-width:50%}
th,td{text-align:left;padding:.4rem 1.4rem .4rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600}td:first-child{min-width:8.5rem}td:last-child{min-width:8rem}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.columns{display:flex;flex-wrap:wrap;gap:0 2.5rem}.columns table{min-width:0}.columns td{min-width:0!important}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:.7rem 1.4rem;margin:.8rem 0}
dt{font-size:.82rem}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
details{margin:1rem 0}summary{cursor:pointer;font-weight:600}
.bar{display:block;height:.7rem;margin-top:.4rem;background:var(--blue);border-radius:3px;min-width:2px}
.alarm{color:var(--alarm);font-weight:600}
@media(max-width:640px){main{padding:1.5rem .8rem 3rem}section{padding:1.1rem 1rem}h1{font-size:1.6rem}
.cards{grid-template-columns:1fr 1fr}.card{padding:.8rem .8rem}.card b{font-size:1.35rem}
dl{grid-template-columns:1fr 1fr}
th,td{padding-right:.9rem}td:first-child,td:last-child{min-width:0}
.picture::before{content:"swipe sideways for the rest of the figure";font-size:.8rem;color:var(--soft)}
.stack table,.stack tbody,.stack tr,.stack td{display:block;width:100%}.stack thead{display:none}
.stack tr{border-bottom:1px solid var(--rule);padding:.5rem 0}
.stack td{display:flex;gap:1rem;justify-content:space-between;border:0;padding:.12rem 0;text-align:right;
white-space:normal;overflow-wrap:anywhere}
.stack td::before{content:attr(data-head);color:var(--soft);text-align:left;flex:0 0 7rem}
.stack td:first-child{font-weight:600;text-align:left}.stack td:first-child::before{content:none}
.stack td.void{display:none}}
@media print{:root{--ink:#111;--soft:#555;--page:#fff;--sheet:#fff;--rule:#ccc;--blue:#0072b2;--alarm:#b3261e;
--shade:transparent}
nav{display:none}main{padding:0;max-width:none}section{border:0;padding:0}figure,tr,.card,h2{break-inside:avoid}
h2,h3{break-after:avoid}*{print-color-adjust:exact}body{font-size:10pt}
.cards{grid-template-columns:repeat(5,1fr)}.card{padding:.6rem}.card b{font-size:1.4rem}.wide{overflow:visible}}
"""
