/**
 * The handlers of the HTTP API: one class per call, over {@link io.litefs.replication.Exchange}.
 * They know what a call means and which shapes it answers with; what they act on comes in as small
 * functions, so that this package knows neither the store nor the cluster. {@link
 * io.litefs.daemon.api.EventFeed} carries what happens on the node to the readers of {@code
 * /events}.
 */
package io.litefs.daemon.api;
