/**
 * What commands need to deal with a running node and with the user: the API's client, progress on a
 * terminal, errors in one line, exit codes.
 */
package io.litefs.daemon.client;
