// The licences of everything that a bundle and the addon are made of, in one text.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup.mjs';

/** The folder of the package that an input of esbuild lies in. */
const packageOf = input => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];

function licenseOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  const file = readdirSync(join(root, folder)).find(entry => /^(licen[cs]e|copying)/i.test(entry));
  const text = file === undefined ? '' : readFileSync(join(root, folder, file), 'utf8').trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
}

/** Of a metafile's inputs, after our own. */
export function licensesOf(metafile) {
  const folders = Object.keys(metafile.inputs).flatMap(input => packageOf(input) ?? []);
  const all = [...new Set([...folders, 'node_modules/node-addon-api'])].filter(folder =>
    existsSync(join(root, folder, 'package.json')),
  );
  const ours = readFileSync(join(root, 'LICENSE'), 'utf8').trim();
  return [`entremise\n\n${ours}\n`, ...all.sort().map(licenseOf)].join(`\n${'-'.repeat(72)}\n\n`);
}
