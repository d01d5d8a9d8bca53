/**
 * One document of each kind as text, made from the fixtures. They verify with openssl; documents that were once issued must
 * stay readable, so these never change while version 1 lives.
 */
/** Golden trust statement. */
export const trustGolden = [
  'eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS10cnVzdCtqd3QiLCJraWQiOiJpb2pqM1hRSjhaWDlVdHN0UExwZGNzcG5D',
  'YjhkbEJJYjgzU0lBYlFQYjF3In0.eyJvcGVyYXRvciI6IlRlc3QgT3BlcmF0b3IiLCJzZXEiOjcsImlhdCI6MTc3MjMyMzIwMCwi',
  'YXV0aG9yaXR5S2V5cyI6WyJpb2pqM1hRSjhaWDlVdHN0UExwZGNzcG5DYjhkbEJJYjgzU0lBYlFQYjF3IiwiZ1RsM0RxaDlGMTlX',
  'bzFSbXcweC16TXVOaXBHMDdqZWlYZllQVzRfSnM1USJdLCJzZXJ2ZXJQaW5zIjpbIklJS0w5Y1c5eXN0b1NHTXpiQ0F2dFZtZHBJ',
  'dmxXV1lWZENGd2NGdnNxZmMiLCIxVUlIMmhsSmQ5ejBhdHYtd3J3dWRiVXRXb3BDR0VfdF9jQUFKUERqNk5vIl0sInNlcnZlckFk',
  'ZHJlc3NlcyI6WyJzZXJ2ZXIuZXhhbXBsZTo0NDMiLCJbMjAwMTpkYjg6OjVdOjQ0MyJdLCJyZXZva2VkR3JhbnRzIjpbXSwicmV2',
  'b2tlZEtleXMiOltdfQ.AmpM4QseeneOWvJ5E-ZzUVKzClXefQVtaw9BXvtI0Jg7aUUyGbJAXC3E8gFchX8eAPPFe-Eh1EYMT5pbt',
  '1GLAw',
].join('');

/** Golden member statement. */
export const memberGolden = [
  'eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS1tZW1iZXIrand0Iiwia2lkIjoiaW9qajNYUUo4Wlg5VXRzdFBMcGRjc3Bu',
  'Q2I4ZGxCSWI4M1NJQWJRUGIxdyJ9.eyJrZXkiOiI3VWtveGlqUndzYnE2UU00a0ZtVllTbFpKenBjWV9rMk5zRkdGS3lITjlFIiw',
  'icm9sZSI6Im1lZGlhdG9yIiwibmFtZSI6Imd3LTEiLCJsYWJlbHMiOlsicmVnaW9uOm5vcnRoIiwibGFiIl0sInNlcSI6MywiaWF',
  '0IjoxNzcyMzIzMjAwfQ.NRCbAkov-H9gvhMfcSMf0jSrFrvr6icMCFn_pjjgaKl09ub7qdyrjLuUpc_x-Ugj8dqOqX8dAf-yPNbx',
  'EIdcAg',
].join('');

/** Golden grant. */
export const grantGolden = [
  'eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS1ncmFudCtqd3QiLCJraWQiOiJpb2pqM1hRSjhaWDlVdHN0UExwZGNzcG5D',
  'YjhkbEJJYjgzU0lBYlFQYjF3In0.eyJqdGkiOiJncmFudC0wMDAxIiwiaWF0IjoxNzcyMzIzMjAwLCJleHAiOjE3NzIzNjY0MDAs',
  'ImNuZiI6eyJqa3QiOiJkOE1lM3VKODJqaGRzQ3N0V3lWTXIzX0kydWVlVFlHNWFnTTEtMnIxX2JZIn0sIm1lZGlhdG9ycyI6W3si',
  'bmFtZSI6Imd3LTEifV0sInB1cnBvc2UiOiJhc3Npc3RhbmNlIiwiY29tbWFuZHMiOlsib3BlbiIsInJlZGlyZWN0IiwiY29ubmVj',
  'dCIsImxpc3RlbiIsImNsb3NlIiwicXVlcnkiLCJyZXNvbHZlIiwiZGF0YWdyYW0iXSwidGFyZ2V0cyI6eyJuZXR3b3JrcyI6WyJs',
  'YW4iXSwidGNwIjpbIjEtNjU1MzUiXSwidWRwIjpbIjEtNjU1MzUiXX0sInBvcnRzIjp7ImFkZHJlc3NlcyI6WyJsYW4iXSwidGNw',
  'IjpbIjEwMjQtNjU1MzUiXSwidWRwIjpbIjEwMjQtNjU1MzUiXX19.9bZt1Dx2PNLlUz5c-b6PAKb9CL56liEII2UO-29yUU3ciSn',
  'v6s9u29nS-O6agQvZbkr11USJ7TW23iETQKNZCA',
].join('');

/** Golden member statement of an enrolment. */
export const enrolledGolden = [
  'eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS1pbnZpdGF0aW9uK2p3dCIsImtpZCI6ImlvamozWFFKOFpYOVV0c3RQTHBk',
  'Y3NwbkNiOGRsQkliODNTSUFiUVBiMXcifQ.eyJrZXkiOiJpb2RmX3g2emhGRlhlczFhX3VRRlJXVm8zWHlKNEpDR09nVlh2SHIwb',
  'nhjIiwicm9sZSI6InRlcm1pbmFsIiwibmFtZSI6InRlY2gtMSIsImxhYmVscyI6W10sImlhdCI6MTc3MjMyMzIwMCwibm90QWZ0Z',
  'XIiOjE3NzIzMjM4MDB9.jz5mSOXsp6Xots14Io-XzqWUDsslqDT4g4v_x8_ugPSq8A3E1wPXIh9XD65XTdJSrLYBIlhFiRuJFM4f',
  'KDa4CQ~eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS1tZW1iZXIrand0Iiwia2lkIjoiaW9kZl94NnpoRkZYZXMxYV91U',
  'UZSV1ZvM1h5SjRKQ0dPZ1ZYdkhyMG54YyJ9.eyJrZXkiOiJ5cE9zRndVWWNISFdlNFBIX3c3LWdRam83RVV3VjExM0pvZVRNOXZh',
  'dm53IiwiaWF0IjoxNzcyMzIzMjYwfQ.GChmfLxGq5Ab1Fi2pAsNYiAxW6kP-8N3EcmS9egG7_aYpUlSSHALzN904Umk0r9n1Ih1_',
  'jyx8LIhLkiLhgSQCQ',
].join('');

/** Golden trust statement that names an inviter. */
export const inviterTrustGolden = [
  'eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS10cnVzdCtqd3QiLCJraWQiOiJpb2pqM1hRSjhaWDlVdHN0UExwZGNzcG5D',
  'YjhkbEJJYjgzU0lBYlFQYjF3In0.eyJvcGVyYXRvciI6IlRlc3QgT3BlcmF0b3IiLCJzZXEiOjcsImlhdCI6MTc3MjMyMzIwMCwi',
  'YXV0aG9yaXR5S2V5cyI6WyJpb2pqM1hRSjhaWDlVdHN0UExwZGNzcG5DYjhkbEJJYjgzU0lBYlFQYjF3IiwiZ1RsM0RxaDlGMTlX',
  'bzFSbXcweC16TXVOaXBHMDdqZWlYZllQVzRfSnM1USJdLCJzZXJ2ZXJQaW5zIjpbIklJS0w5Y1c5eXN0b1NHTXpiQ0F2dFZtZHBJ',
  'dmxXV1lWZENGd2NGdnNxZmMiLCIxVUlIMmhsSmQ5ejBhdHYtd3J3dWRiVXRXb3BDR0VfdF9jQUFKUERqNk5vIl0sInNlcnZlckFk',
  'ZHJlc3NlcyI6WyJzZXJ2ZXIuZXhhbXBsZTo0NDMiLCJbMjAwMTpkYjg6OjVdOjQ0MyJdLCJyZXZva2VkR3JhbnRzIjpbXSwicmV2',
  'b2tlZEtleXMiOltdLCJpbnZpdGVycyI6W3sia2V5IjoiYm5vYzNTbXd0NF9ST3ZURldZX3Y5TzhxbHhadVBLYnk1UHY4ellCUVdf',
  'RSIsIm5hbWUiOiJhcGkiLCJub3RBZnRlciI6MTc3MjQwOTYwMCwibmFtZXMiOiJuZXctIiwibGFiZWxzIjpbInZvaXAiXSwibGlm',
  'ZVMiOjM2MDB9XX0.mgXqIlzmq0ccm5ZN06ZiYN2LHWC1cZizSpD9MwXRZ8qLnE6XTzanGtATBp8DRFlFUJpYrKEp9SsmRTzfFsTl',
  'Bw',
].join('');

/** Golden member statement that came by it. */
export const invitedGolden = [
  'eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS1pbnZpdGF0aW9uK2p3dCIsImtpZCI6ImJub2MzU213dDRfUk92VEZXWV92',
  'OU84cWx4WnVQS2J5NVB2OHpZQlFXX0UifQ.eyJrZXkiOiJpb2RmX3g2emhGRlhlczFhX3VRRlJXVm8zWHlKNEpDR09nVlh2SHIwb',
  'nhjIiwicm9sZSI6Im1lZGlhdG9yIiwibmFtZSI6Im5ldy0xIiwibGFiZWxzIjpbInZvaXAiXSwiaWF0IjoxNzcyMzIzMjAwLCJub',
  '3RBZnRlciI6MTc3MjMyMzgwMH0.UFnABiTJ5j3-pPmiMD16RJqpntdWfeCaO9zQNThgJCIeayOD3Z3wEnM2MkR7hFkhUg6R9iOGk',
  'dYgfsiVvZPABQ~eyJhbGciOiJFZERTQSIsInR5cCI6ImVudHJlbWlzZS1tZW1iZXIrand0Iiwia2lkIjoiaW9kZl94NnpoRkZYZX',
  'MxYV91UUZSV1ZvM1h5SjRKQ0dPZ1ZYdkhyMG54YyJ9.eyJrZXkiOiI3VWtveGlqUndzYnE2UU00a0ZtVllTbFpKenBjWV9rMk5zR',
  'kdGS3lITjlFIiwiaWF0IjoxNzcyMzIzMjYwfQ.m7qfaobFuEZefEAxrWtkuHeaobtLaYB7hcdYmZgb-6sjaYc2fMlWlnashJIe0l',
  'C-6mUwjL4evD0qwfOKX2nGAQ',
].join('');
