// Your server, and the app as it is registered there.
export const server = 'http://localhost:8000';
export const clientId = 'notes';
