// Reads the feed's Makefile, in which all that is said of the package stands.
import { readFileSync } from 'node:fs';

/** `PKG_x:=value` outside of definitions, and `  x:=value` inside of one. */
function assignments(text) {
  return new Map([...text.matchAll(/^\s*([A-Z_]+):=(.*)$/gm)].map(([, name, value]) => [name, value.trim()]));
}

/** The lines between `define NAME` and `endef`, or undefined. `$$` is what make makes of it. */
function definition(text, name) {
  const start = text.indexOf(`define ${name}\n`);
  if (start < 0) return undefined;
  const from = text.indexOf('\n', start) + 1;
  return text.slice(from, text.indexOf('\nendef', from) + 1).replaceAll('$$', '$');
}

/** What the C++ library is linked into the addon for: no SDK, no package of it. */
const linkedStatically = ['libstdcpp'];

const words = (value = '') => value.split(/\s+/).filter(Boolean);

const dependsOf = text => [
  'libc',
  ...words(text)
    .map(word => word.replace(/^\+/, ''))
    .filter(word => !linkedStatically.includes(word)),
];

/** What a Makefile of an application says to luci.mk, and what luci.mk makes of it. */
function pageOf(outside) {
  return {
    section: 'luci',
    title: outside.get('LUCI_TITLE'),
    description: outside.get('LUCI_DESCRIPTION'),
    depends: dependsOf(outside.get('LUCI_DEPENDS')),
  };
}

function packageOf(inside, description) {
  return {
    section: inside.get('SECTION'),
    title: inside.get('TITLE'),
    description: description
      .trim()
      .split(/\s*\n\s*/)
      .join('\n '),
    depends: dependsOf(inside.get('DEPENDS')),
  };
}

/** The package as the Makefile at that path describes it. */
export function readRecipe(path) {
  const text = readFileSync(path, 'utf8');
  const outside = assignments(text.replace(/^define [\s\S]*?^endef$/gm, ''));
  const name = outside.get('PKG_NAME');
  const part = which => definition(text, `Package/${name}${which}`);
  const inside = assignments(part('') ?? '');
  const conffiles = words(part('/conffiles'));
  return {
    name,
    version: outside.get('PKG_VERSION'),
    release: outside.get('PKG_RELEASE'),
    maintainer: outside.get('PKG_MAINTAINER'),
    license: outside.get('PKG_LICENSE'),
    ...(outside.has('LUCI_TITLE') ? pageOf(outside) : packageOf(inside, part('/description'))),
    /** Undefined where the package brings no user. */
    users: inside.get('USERID'),
    conffiles: conffiles.filter(entry => !entry.endsWith('/')),
    /** What a sysupgrade keeps besides changed conffiles. */
    kept: conffiles.filter(entry => entry.endsWith('/')),
    postinst: part('/postinst'),
    postrm: part('/postrm'),
  };
}
