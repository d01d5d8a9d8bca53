import test from 'ava';
import { parseUpFile } from './up-file.ts';

const office = `
[[mediator]]
name = "home-4711"
forward = ["8080:192.168.1.10:80", "127.0.0.1:5353:192.168.1.1:53/udp"]
expose = [{ port = "8000", target = "127.0.0.1:8000" }]

[[mediator]]
name = "home-4712"
forward = ["8081:[fd00::10]:80"]
`;

test('a file lists forwards and exposes in the words of the command line', t => {
  const entries = parseUpFile(office, 'office.toml');
  t.deepEqual(
    entries.map(({ kind, mediator, text }) => [kind, mediator, text]),
    [
      ['forward', 'home-4711', '8080:192.168.1.10:80'],
      ['forward', 'home-4711', '127.0.0.1:5353:192.168.1.1:53/udp'],
      ['expose', 'home-4711', '8000 127.0.0.1:8000'],
      ['forward', 'home-4712', '8081:[fd00::10]:80'],
    ],
  );
  t.deepEqual(entries[1]?.spec, {
    protocol: 'udp',
    listen: { host: '127.0.0.1', port: 5353 },
    target: { host: '192.168.1.1', port: 53 },
  });
  t.deepEqual(entries[2]?.spec, {
    protocol: 'tcp',
    listen: { port: 8000 },
    target: { host: '127.0.0.1', port: 8000 },
  });
});

const one = (lines: string) => `[[mediator]]\nname = "home-4711"\n${lines}\n`;

for (const [what, text, expected] of [
  ['what is no TOML', '[[mediator', /^office\.toml: line 1, column \d+: /],
  ['an unknown key', one('forwards = []'), /mediator\[0\]\.forwards is not known here/],
  [
    'a forward that is none',
    one('forward = ["80"]'),
    /mediator\[0\]\.forward\[0\] is wrong: "80" is no forward/,
  ],
  ['an expose without target', one('expose = [{ port = "80" }]'), /expose\[0\]\.target is missing/],
  ['a wrong name', '[[mediator]]\nname = "A b"', /mediator\[0\]\.name must be 1 to 63/],
  ['a file without a mediator', '', /mediator is missing/],
  ['a file without an entry', one(''), /there is no forward and no expose in it/],
  [
    'a local port that is used twice',
    one('forward = ["80:10.0.0.1:80", "127.0.0.1:80:10.0.0.2:80"]'),
    /"127\.0\.0\.1:80:10\.0\.0\.2:80" stands where another has its port already/,
  ],
  [
    'a port that is exposed twice',
    one('expose = [{ port = "80", target = "a:1" }, { port = "80", target = "a:1" }]'),
    /has its port already/,
  ],
] as const)
  test(`${what} is told with its place`, t => {
    t.throws(() => parseUpFile(text, 'office.toml'), { code: 'bad-config', message: expected });
  });

test('any free port may be asked for twice', t => {
  t.is(parseUpFile(one('forward = ["0:10.0.0.1:80", "0:10.0.0.1:80"]'), 'office.toml').length, 2);
});
