import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Name and password of a local proxy (RFC 1929 §2; Basic of RFC 7617). */
export interface DoorPassword {
  readonly user: string;
  readonly password: string;
}

/** A new password of 128 random bits. */
export function newDoorPassword(): DoorPassword {
  return { user: 'entremise', password: randomBytes(16).toString('base64url') };
}

const digest = ({ user, password }: DoorPassword) =>
  createHash('sha256')
    .update(JSON.stringify([user, password]))
    .digest();

/** True when `said` is `wanted`; takes as long whatever differs. */
export function isPassword(wanted: DoorPassword, said: DoorPassword): boolean {
  return timingSafeEqual(digest(wanted), digest(said));
}
