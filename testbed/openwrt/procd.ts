import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Router } from './router.ts';

/**
 * procd's part, where the service is to run for real: the instance that the init script declares is started in the
 * chroot as its user, gets the signal that is declared for a changed configuration, and what the script sends by
 * `procd_send_signal`. /proc is there, as the jail has it. No ujail, no respawn.
 */

/** Why none can run here, or undefined. */
export function noServiceBecause(): string | undefined {
  return spawnSync('unshare', ['--mount', 'true']).status === 0 ? undefined : 'there is no unshare here';
}

type Notes = ReturnType<Router['notes']>;

function declared(notes: Notes, name: string): string[] {
  const words = notes.findLast(([call, param]) => call === 'procd_set_param' && param === name)?.slice(2);
  if (words === undefined) throw new Error(`the init script declares no ${name}`);
  return words;
}

/** See the head of this file. */
export class Service {
  private readonly router: Router;
  private child: ChildProcess | undefined;

  constructor(t: ExecutionContext, router: Router) {
    this.router = router;
    t.teardown(() => this.stop());
  }

  private instance(action: 'start' | 'reload'): Notes | undefined {
    this.router.notes();
    this.router.sh(`/etc/init.d/entremise ${action}`);
    const notes = this.router.notes();
    return notes.some(([call]) => call === 'procd_open_instance') ? notes : undefined;
  }

  /** `service entremise start` */
  start(): void {
    const notes = this.instance('start');
    if (notes === undefined) throw new Error('the init script declares no instance');
    const { root } = this.router;
    const [user] = declared(notes, 'user');
    const numbers = this.router.sh(`awk -F: '$1 == "${user}" { print $3 ":" $4 }' /etc/passwd`).trim();
    const env = { PATH: '/bin:/sbin:/usr/bin:/usr/sbin' };
    // The mount is gone with the process.
    const inside = 'mount --bind /proc "$0/proc" && exec chroot "$@"';
    const chroot = [root, `--userspec=${numbers}`, root, ...declared(notes, 'command')];
    // syslog's part.
    mkdirSync(join(root, 'proc'), { recursive: true });
    const log = openSync(join(root, 'tmp/service.log'), 'a');
    this.child = spawn('unshare', ['--mount', 'sh', '-c', inside, ...chroot], {
      stdio: ['ignore', log, log],
      env,
    });
    closeSync(log);
    this.router.write('tmp/instance.pid', `${this.child.pid}`);
  }

  /** `config.change`: what the trigger of the init script does. */
  onConfigChange(): void {
    if (this.child === undefined) return;
    const notes = this.instance('reload');
    if (notes === undefined) void this.stop();
    else this.child.kill(`SIG${declared(notes, 'reload_signal')[0]}` as NodeJS.Signals);
  }

  /** `service entremise stop` */
  async stop(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
    this.child = undefined;
    this.router.sh('rm -f /tmp/instance.pid');
  }
}
