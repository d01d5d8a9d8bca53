import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Namespace, Program, SpawnOptions } from 'netns-test-helpers';

/** The page that the device shows. */
export const devicePage =
  '<!doctype html><title>Printer 4711</title><h1>Printer 4711</h1><p>Toner: 61 %</p>\n';

const echoProgram = fileURLToPath(new URL('../../../testbed/programs/udp-echo.mjs', import.meta.url));

function nginxConfig(directory: string): string {
  return `
daemon off;
user root;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log ${directory}/access.log;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 80;
    listen [::]:80;
    root ${directory}/www;
    client_max_body_size 0;
    location /upload/ { dav_methods PUT; create_full_put_path on; }
  }
}
`;
}

/** Starts a real nginx on the device, port 80, both families. */
export async function startWebServer(
  device: Namespace,
  directory: string,
  options: SpawnOptions = {},
): Promise<Program> {
  mkdirSync(join(directory, 'www'), { recursive: true, mode: 0o755 });
  writeFileSync(join(directory, 'www', 'index.html'), devicePage);
  writeFileSync(join(directory, 'nginx.conf'), nginxConfig(directory));
  const program = device.spawn(['nginx', '-p', directory, '-c', join(directory, 'nginx.conf')], options);
  await device.untilListening('tcp', 80);
  return program;
}

/** Starts a UDP echo service on the device, port 7, at all its IPv4 addresses or at `address`. */
export async function startEcho(
  device: Namespace,
  options: SpawnOptions = {},
  address = '0.0.0.0',
): Promise<Program> {
  const program = device.spawn([process.execPath, echoProgram, address, '7'], options);
  await device.untilListening('udp', 7);
  return program;
}
