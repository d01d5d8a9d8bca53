// Node's own http.request over connections that a mediator makes.
// Arguments: directory of the terminal, mediator, URL. Writes the body to standard output.
import { once } from 'node:events';
import http from 'node:http';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { connectTerminal } from 'entremise';

const [directory = '', mediator = '', url = ''] = process.argv.slice(2);
const { hostname: host, port, pathname: path } = new URL(url);
const terminal = await connectTerminal({ directory });
await terminal.waitOnline(mediator);
const attachment = await terminal.attach(mediator);
const createConnection = () => attachment.connect({ host, port: Number(port || 80) });
const [response] = await once(http.get({ host, path, createConnection }), 'response');
console.error(`status ${response.statusCode}`);
await pipeline(response, process.stdout, { end: false });
await terminal.close();
