"""How the page looks: Discord's measures and colours, light and dark."""

# 520 pixels are the widest that Discord's embeds get. Its phones show fields one below another.
STYLE = """
:root {
  color-scheme: light dark;
  --page: #fff; --embed: #f2f3f5; --edge: #e3e5e8; --code: #e9eaed; --text: #2e3338; --strong: #060607;
  --muted: #5c5e66; --link: #0067d6; --mention: #e6e8fd; --mentioned: #3c45a5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #313338; --embed: #2b2d31; --edge: #26282c; --code: #1e1f22; --text: #dbdee1; --strong: #f2f3f5;
    --muted: #a3a9b2; --link: #3fb2ff; --mention: #3d4270; --mentioned: #d5d9fd;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text); overflow-wrap: anywhere;
  font: 16px/1.375 "gg sans", "Noto Sans", "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif;
}
main { padding: 16px; }
article { display: grid; grid-template-columns: 40px minmax(0, 1fr); gap: 0 16px; max-width: 720px; }
article + article { margin-top: 24px; }
.avatar {
  width: 40px; height: 40px; border-radius: 50%; background: #5865f2; color: #fff;
  display: grid; place-items: center; font-weight: 600;
}
.who { margin: 0; line-height: 1.25; font-weight: 600; color: var(--strong); }
.who .app {
  font-size: 10px; background: #5865f2; color: #fff; border-radius: 3px; padding: 1px 5px; vertical-align: 2px;
}
.who time, .who .silent {
  font-size: 12px; font-weight: 400; color: var(--muted); margin-left: 4px; white-space: nowrap;
}
.markdown { white-space: pre-wrap; }
.mention { background: var(--mention); color: var(--mentioned); border-radius: 3px; padding: 0 2px; font-weight: 500; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
strong { color: var(--strong); font-weight: 700; }
pre, code { font-family: "gg mono", Consolas, Menlo, "Liberation Mono", "DejaVu Sans Mono", monospace; }
code { font-size: 85%; background: var(--code); border-radius: 4px; padding: 1px 3px; }
pre {
  margin: 6px 0 0; padding: 7px; background: var(--code); border: 1px solid var(--edge); border-radius: 4px;
  font-size: 14px; line-height: 18px; white-space: pre-wrap;
}
pre code { font-size: inherit; background: none; padding: 0; }
blockquote { margin: 0; padding-left: 12px; border-left: 4px solid var(--edge); }
.embed {
  max-width: 520px; margin-top: 6px; padding: 8px 16px 16px 12px; background: var(--embed);
  border: 1px solid var(--edge); border-left: 4px solid; border-radius: 4px; font-size: 14px; line-height: 18px;
}
.embed h2 { margin: 8px 0 0; font-size: 16px; line-height: 22px; font-weight: 600; color: var(--strong); }
.embed .author { margin: 8px 0 0; font-size: 14px; line-height: 18px; font-weight: 600; color: var(--strong); }
.embed > .markdown { margin-top: 8px; }
.embed pre { font-size: 12px; line-height: 16px; }
.fields { display: grid; grid-template-columns: repeat(12, minmax(0, 1fr)); gap: 8px; margin: 8px 0 0; }
.fields dt { font-weight: 600; color: var(--strong); margin-bottom: 2px; }
.fields dd { margin: 0; }
.span4 { grid-column: span 4; }
.span6 { grid-column: span 6; }
.span12 { grid-column: span 12; }
.embed img { display: block; margin-top: 16px; max-width: 100%; max-height: 300px; border-radius: 4px; }
footer { margin-top: 8px; font-size: 12px; line-height: 16px; color: var(--muted); }
.file {
  max-width: 520px; margin-top: 6px; padding: 10px 12px; background: var(--embed); border: 1px solid var(--edge);
  border-radius: 8px; font-size: 14px;
}
.file .size, .nothing { color: var(--muted); font-size: 12px; }
.file img { display: block; margin-top: 8px; max-width: 100%; max-height: 300px; border-radius: 4px; }
.file summary { cursor: pointer; }
@media (max-width: 480px) {
  main { padding: 12px 8px; }
  article { gap: 0 12px; }
  .embed { padding-right: 12px; }
  .span4, .span6 { grid-column: span 12; }
}
"""
