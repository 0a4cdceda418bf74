/* SPDX-License-Identifier: Apache-2.0
 *
 * Bulk data: straight between the two processes' memory, or through the bounce area
 * where the kernel does not allow that (another user, another pid namespace, Yama).
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/uio.h>

#include "base/iovec.h"
#include "transport/local/local.h"

/* Bytes per claim of the gate: how long a client that gives up may have to wait. */
#define MOVE_PIECE    ((size_t)2 << 20)
#define MOVE_ENTRIES  1024        /* IOV_MAX */
#define BOUNCE_RETAIN (16u << 20) /* kept in memory when nobody uses it */

struct move_piece {
    struct iovec own[MOVE_ENTRIES];
    struct iovec other[LOCAL_SPANS_MAX];
    int n_own, n_other;
    size_t size;
};

/* The piece at `offset` in both lists; what needs too many entries is halved. */
static int piece_make(struct move_piece *piece,
                      const struct iovec *own,
                      size_t n_own,
                      const struct iovec *other,
                      size_t n_other,
                      size_t offset)
{
    for (;;) {
        piece->n_own =
            iovec_slice(own, n_own, offset, piece->size, piece->own, MOVE_ENTRIES);
        piece->n_other = iovec_slice(
            other, n_other, offset, piece->size, piece->other, LOCAL_SPANS_MAX);
        if (piece->n_own >= 0 && piece->n_other >= 0)
            return 0;
        if (piece->n_own == -EINVAL || piece->n_other == -EINVAL || piece->size < 2)
            return -EFAULT;
        piece->size /= 2;
    }
}

static ssize_t piece_move(const struct local_connection *connection,
                          bool is_read,
                          struct move_piece *p)
{
    ssize_t n;

    /* The number may belong to another process by now. */
    if (connection->pid_fd >= 0 && pidfd_send_signal(connection->pid_fd, 0, NULL, 0)
        && errno == ESRCH)
        return -EHOSTDOWN;
    if (is_read)
        n = process_vm_readv(connection->pid,
                             p->own,
                             (unsigned long)p->n_own,
                             p->other,
                             (unsigned long)p->n_other,
                             0);
    else
        n = process_vm_writev(connection->pid,
                              p->own,
                              (unsigned long)p->n_own,
                              p->other,
                              (unsigned long)p->n_other,
                              0);
    if (n > 0)
        return n;
    if (n == 0)
        return -EFAULT;
    return errno == ESRCH ? -EHOSTDOWN : -errno;
}

int local_memory_move(const struct local_connection *connection,
                      bool is_read,
                      const struct iovec *own,
                      size_t n_own,
                      const struct local_incoming *incoming,
                      size_t size)
{
    _Atomic uint64_t *gate = &connection->region.control->gates[incoming->gate];
    const struct iovec *spans = incoming->spans + (is_read ? 0 : incoming->n_payload);
    size_t n_spans = is_read ? incoming->n_payload : incoming->n_space;
    struct move_piece piece;
    size_t done = 0;

    while (done < size) {
        ssize_t n;
        int rc;

        piece.size = size - done < MOVE_PIECE ? size - done : MOVE_PIECE;
        rc = piece_make(&piece, own, n_own, spans, n_spans, done);
        if (rc)
            return rc;
        if (!local_gate_claim(gate, incoming->gate_word))
            return -ECANCELED;
        n = piece_move(connection, is_read, &piece);
        local_gate_unclaim(gate, incoming->gate_word);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    }
    return 0;
}

int local_memory_probe(pid_t pid, uint64_t address, uint64_t *ret_value)
{
    uint64_t value;
    struct iovec own = {.iov_base = &value, .iov_len = sizeof(value)};
    struct iovec other = {.iov_base = local_address(address), .iov_len = sizeof(value)};
    ssize_t n = process_vm_readv(pid, &own, 1, &other, 1, 0);

    if (n < 0)
        return -errno;
    if (n != (ssize_t)sizeof(value))
        return -EFAULT;
    *ret_value = value;
    return 0;
}

/* ---- the client's allocation of the bounce area ---- */

static bool unit_is_used(const struct local_connection *connection, unsigned unit)
{
    return connection->bounce_used[unit / 64] >> (unit % 64) & 1;
}

int local_bounce_take(struct local_connection *connection,
                      size_t size,
                      struct local_bounce *ret)
{
    unsigned count = (unsigned)((size + LOCAL_BOUNCE_UNIT - 1) / LOCAL_BOUNCE_UNIT);
    unsigned run = 0;

    for (unsigned unit = 0; unit < LOCAL_BOUNCE_UNITS && run < count; unit++) {
        run = unit_is_used(connection, unit) ? 0 : run + 1;
        if (run == count)
            ret->first = unit + 1 - count;
    }
    if (run < count)
        return -EAGAIN;
    ret->count = count;
    for (unsigned i = 0; i < count; i++) {
        unsigned unit = ret->first + i;

        connection->bounce_used[unit / 64] |= UINT64_C(1) << (unit % 64);
        if (unit >= connection->bounce_peak)
            connection->bounce_peak = unit + 1;
    }
    connection->n_bounce_used += count;
    return 0;
}

void local_bounce_give(struct local_connection *connection, struct local_bounce *bounce)
{
    for (unsigned i = 0; i < bounce->count; i++) {
        unsigned unit = bounce->first + i;

        connection->bounce_used[unit / 64] &= ~(UINT64_C(1) << (unit % 64));
    }
    connection->n_bounce_used -= bounce->count;
    bounce->count = 0;
    if (connection->n_bounce_used == 0
        && connection->bounce_peak * LOCAL_BOUNCE_UNIT > BOUNCE_RETAIN) {
        (void)madvise(connection->region.bounce,
                      (size_t)connection->bounce_peak * LOCAL_BOUNCE_UNIT,
                      MADV_REMOVE);
        connection->bounce_peak = 0;
    }
}
