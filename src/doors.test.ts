import test from 'ava';
import ts from 'typescript';
import { at, isTest, type Source, sourcesUnder } from './testing/source-tree.ts';

/**
 * The doors are counted (P5.8, P6.2): authorise() is called in one place at the server and in one at the mediator, and
 * everything that acts goes through the one of its side. Whoever adds a way to act adds a line here, or is told.
 */

const sources = sourcesUnder('src').filter(
  ({ path }) => !isTest(path) && !/\/testing\/|\.fixture\./.test(path),
);

/** What `read` makes of the nodes of all sources, as `path: text`, in the order of paths. */
function collect(read: (node: ts.Node, source: Source) => string | undefined): string[] {
  const found: string[] = [];
  for (const source of sources) {
    const visit = (node: ts.Node): void => {
      const text = read(node, source);
      if (text !== undefined) found.push(`${source.path}: ${text}`);
      ts.forEachChild(node, visit);
    };
    visit(source.tree);
  }
  return found.sort();
}

/** The name that a call calls: `f` of `f()`, `m` of `x.m()`. */
function calledName(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const { expression } = node;
  if (ts.isIdentifier(expression)) return expression.text;
  return ts.isPropertyAccessExpression(expression) ? expression.name.text : undefined;
}

/** What is written behind `verb:` in the first argument of a call. */
function verbOf(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const [first] = node.arguments;
  if (first === undefined) return '';
  if (!ts.isObjectLiteralExpression(first)) return first.getText();
  for (const property of first.properties) {
    if (ts.isSpreadAssignment(property)) return `...${property.expression.getText()}`;
    if (ts.isPropertyAssignment(property) && property.name.getText() === 'verb')
      return property.initializer.getText().replace(/'/g, '');
  }
  return first.getText();
}

test('authorise() is called in one place at the server and in one at the mediator', t => {
  const calls = collect(node => {
    const free = ts.isCallExpression(node) && ts.isIdentifier(node.expression);
    return free && calledName(node) === 'authorise' ? 'authorise()' : undefined;
  });
  t.deepEqual(calls, ['src/mediator/access-door.ts: authorise()', 'src/server/permit.ts: authorise()']);
});

test('nobody else gets hold of authorise(), under whatever name', t => {
  const holders = collect((node, source) => {
    const isSpecifier = ts.isImportSpecifier(node) || ts.isExportSpecifier(node);
    if (isSpecifier && (node.propertyName ?? node.name).getText() === 'authorise')
      return node.propertyName === undefined ? 'by name' : `as ${node.name.getText()}`;
    const whole =
      ts.isNamespaceImport(node) || (ts.isExportDeclaration(node) && node.exportClause === undefined);
    const text = whole ? node.parent.getText() + node.getText() : '';
    return /policy\/(authorise|index)\.ts|\.\/authorise\.ts/.test(text) ? at(source, node) : undefined;
  });
  t.deepEqual(holders, ['src/mediator/access-door.ts: by name', 'src/server/permit.ts: by name']);
});

test('the server asks at ATTACH and at every COMMAND, and again when documents change', t => {
  const asked = collect(node => {
    const name = calledName(node);
    const doors = [
      'authoriseAttach',
      'passCommand',
      'decideAttach',
      'decideOnBehalf',
      'recheck',
      'recheckMember',
    ];
    if (name !== undefined && doors.includes(name)) return name;
    const isPermit = ts.isCallExpression(node) && /permit\.authorise$/.test(node.expression.getText());
    return isPermit ? 'permit.authorise' : undefined;
  });
  t.deepEqual(asked, [
    // What a token has declared, again and again.
    'src/server/features/features.ts: recheck',
    'src/server/features/features.ts: recheck',
    // ATTACH: desk, then documents and grant, then authorise().
    'src/server/server.ts: decideAttach',
    'src/server/token-desk.ts: decideOnBehalf',
    'src/switch/attach-desk.ts: authoriseAttach',
    // COMMAND: the route hands every one to the door, the door asks the permit.
    'src/switch/command-door.ts: permit.authorise',
    // PORTROUTE, before packets of a port find a way.
    'src/switch/port-routes.ts: permit.authorise',
    // What goes on without a label is asked about when that is lost, and at every change.
    'src/switch/port-routes.ts: recheck',
    'src/switch/port-routes.ts: recheck',
    // What began before documents changed is asked about when it begins to live, and at every change.
    'src/switch/route-table.ts: passCommand',
    'src/switch/route-table.ts: recheck',
    'src/switch/route-table.ts: recheck',
    'src/switch/route.ts: passCommand',
    'src/switch/switch.ts: authoriseAttach',
    'src/switch/switch.ts: recheckMember',
    'src/switch/switch.ts: recheckMember',
  ]);
});

test('what a token declares is asked about when it comes, before it begins, and while it is there', t => {
  const asked = collect(node => {
    const name = calledName(node) ?? '';
    return /^of(Publication|Service|ServiceAnywhere)$/.test(name) ? name : undefined;
  });
  t.deepEqual(asked, [
    'src/server/api/declared-routes.ts: ofPublication',
    'src/server/api/declared-routes.ts: ofServiceAnywhere',
    'src/server/declared/token-bounds.ts: ofService',
    'src/server/features/publish-feature.ts: ofPublication',
    'src/server/features/publish-feature.ts: ofPublication',
    'src/server/features/service-feature.ts: ofService',
  ]);
});

test('what names a member is signed in these places: by the authority, and for the API by the desk that asks the inviter’s bounds', t => {
  const signed = collect((node, { path }) => {
    const name = path === 'src/policy/fixtures.ts' ? '' : (calledName(node) ?? '');
    if (/^(signInvitation|signLabels|issueMemberStatements?)$/.test(name)) return name;
    const [typ] = name === 'signJws' && ts.isCallExpression(node) ? node.arguments : [];
    return /^(invitation|memberStatement)Rules\.typ$/.test(typ?.getText() ?? '') ? 'signJws' : undefined;
  });
  t.deepEqual(
    signed,
    [
      'src/authority/inviters.ts: issueMemberStatements',
      'src/authority/members.ts: issueMemberStatements',
      'src/authority/members.ts: signInvitation',
      'src/authority/members.ts: signJws',
      'src/authority/rotation.ts: issueMemberStatements',
      'src/cli/verbs/authority.ts: issueMemberStatement',
      // POST /v1/enrolment-codes and PUT /v1/mediators/{name}/labels, behind their scopes.
      'src/server/api/enrolment-desk.ts: signInvitation',
      'src/server/api/enrolment-desk.ts: signLabels',
      // What both sign is verified by the bounds before anybody has it.
      'src/policy/invite.ts: signJws',
      'src/policy/invite.ts: signJws',
      // A member's own key, by the key of its code.
      'src/policy/member-statement.ts: signJws',
    ].sort(),
  );
});

test('inside the server’s door everything goes through one function', t => {
  const asked = collect((node, { path }) =>
    path === 'src/server/permit.ts' && calledName(node) === 'ask' ? 'ask' : undefined,
  );
  // Each COMMAND, each recheck, each ATTACH, and what a token declares.
  t.is(asked.length, 4);
});

test('the mediator asks, and leaves a line, at every command and every new datagram destination', t => {
  const permits = collect((node, { path }) =>
    path.startsWith('src/mediator/') && calledName(node) === 'permit' ? `permit ${verbOf(node)}` : undefined,
  );
  t.deepEqual(permits, [
    // ATTACH, from the attachment's first signed word on.
    'src/mediator/agent.ts: permit attach',
    'src/mediator/attach-door.ts: permit grant',
    // What a name resolves to is asked about address by address.
    'src/mediator/ports/dial.ts: permit address',
    'src/mediator/ports/open.ts: permit asked(wish)',
    // REDIRECT of a port that is open.
    'src/mediator/ports/port-table.ts: permit asked',
    'src/mediator/ports/query.ts: permit query',
    'src/mediator/ports/query.ts: permit resolve',
    'src/mediator/ports/tcp-port.ts: permit connect',
    'src/mediator/ports/tcp-port.ts: permit connect',
    'src/mediator/ports/tcp-port.ts: permit listen',
    'src/mediator/ports/udp-port.ts: permit datagram',
    'src/mediator/terminal-session.ts: permit close',
  ]);
});

test('what reaches the LAN from a mediator does so in these places, each behind a door above', t => {
  const acts = ['lookup', 'connect', 'listen', 'createConnection', 'createServer', 'createSocket', 'reserve'];
  const found = collect((node, { path }) => {
    const name = calledName(node);
    if (!path.startsWith('src/mediator/') || name === undefined) return undefined;
    return acts.includes(name) ? name : undefined;
  });
  t.deepEqual(
    [...new Set(found)],
    [
      // The runner hands commands to ports, whose methods begin with the door.
      'src/mediator/command-runner.ts: connect',
      'src/mediator/command-runner.ts: listen',
      // The owner's own socket in the file system: it leads to this program only.
      'src/mediator/control/ask.ts: connect',
      'src/mediator/control/control-socket.ts: createServer',
      'src/mediator/control/control-socket.ts: listen',
      // Called by TcpPort.connect once its door has opened; asks again for each address of a name.
      'src/mediator/ports/dial.ts: connect',
      'src/mediator/ports/dial.ts: lookup',
      // Made by TcpPort.listen, behind its door.
      'src/mediator/ports/listening-socket.ts: createServer',
      'src/mediator/ports/listening-socket.ts: listen',
      // openNumber: the door comes first; pickNumber asks for each number it tries.
      'src/mediator/ports/open.ts: reserve',
      'src/mediator/ports/pick-number.ts: reserve',
      // QUERY resolve, behind its door.
      'src/mediator/ports/query.ts: lookup',
    ],
  );
});

test('features of the server reach mediators as terminals alone, and plain UDP and TCP by these places', t => {
  const udp = ['handTo', 'reserve', 'addService', 'bindPeer', 'bindPort', 'sendPlain', 'bypass'];
  const tcp = ['createServer', 'listen', 'connect', 'joinSockets', 'joinToTarget'];
  const acts = ['accept', ...udp, ...tcp];
  const found = collect((node, { path }) => {
    const name = calledName(node);
    const isFeature = /^src\/server\/(features|publish|services)\//.test(path);
    return isFeature && name !== undefined && acts.includes(name) ? name : undefined;
  });
  t.deepEqual(
    [...new Set(found)],
    [
      // A link over memory: from here on it is a member like any other, and every command passes the door above.
      'src/server/features/feature-terminal.ts: accept',
      // The number that a publication names, heard from the networks that it names.
      'src/server/publish/open-published.ts: createServer',
      'src/server/publish/open-published.ts: handTo',
      'src/server/publish/open-published.ts: listen',
      'src/server/publish/open-published.ts: reserve',
      // A client's connection, behind the networks, the limits and its line in the audit: CONNECT, which passes the door.
      'src/server/publish/published-tcp.ts: connect',
      'src/server/publish/published-tcp.ts: joinSockets',
      // Where a client's or a device's datagrams go: to the route of a port that REDIRECT made, or by its socket.
      'src/server/publish/published-udp.ts: bindPeer',
      'src/server/publish/published-udp.ts: bypass',
      'src/server/publish/published-udp.ts: sendPlain',
      // LISTEN, which passes the door; each device's connection goes to the one server that the service names.
      'src/server/services/standing-tcp.ts: joinToTarget',
      'src/server/services/standing-tcp.ts: listen',
      'src/server/services/standing-udp.ts: addService',
      'src/server/services/standing-udp.ts: bindPort',
      'src/server/services/standing-udp.ts: bypass',
      'src/server/services/standing-udp.ts: sendPlain',
    ],
  );
});
