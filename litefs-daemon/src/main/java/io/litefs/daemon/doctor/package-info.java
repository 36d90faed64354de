/** {@code litefs doctor}: what a machine needs, each with what to do where it is missing. */
package io.litefs.daemon.doctor;
