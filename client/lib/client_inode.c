/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of inodes that this client has open, and what it has yet to report of each.
 */
#include <stdlib.h>

#include "client/client_internal.h"

struct client_inode *client_inode_find(struct client *client, uint64_t ino)
{
    struct client_inode *inode;

    pthread_mutex_lock(&client->inodes_lock);
    inode = table_get(&client->inodes, ino);
    if (inode)
        inode->references++;
    pthread_mutex_unlock(&client->inodes_lock);
    return inode;
}

static struct client_inode *inode_new(struct client *client, uint64_t ino)
{
    struct client_inode *inode = calloc(1, sizeof(*inode));

    if (!inode)
        return NULL;
    inode->client = client;
    inode->ino = ino;
    inode->references = 1;
    pthread_mutex_init(&inode->lock, NULL);
    pthread_mutex_init(&inode->report_lock, NULL);
    return inode;
}

static void inode_free(struct client_inode *inode)
{
    pthread_mutex_destroy(&inode->lock);
    pthread_mutex_destroy(&inode->report_lock);
    free(inode);
}

struct client_inode *client_inode_get(struct client *client, uint64_t ino)
{
    struct client_inode *inode;

    pthread_mutex_lock(&client->inodes_lock);
    inode = table_get(&client->inodes, ino);
    if (inode) {
        inode->references++;
    } else {
        inode = inode_new(client, ino);
        if (inode && table_put(&client->inodes, ino, inode) < 0) {
            inode_free(inode);
            inode = NULL;
        }
    }
    pthread_mutex_unlock(&client->inodes_lock);
    return inode;
}

void client_inode_put(struct client_inode *inode)
{
    struct client *client = inode->client;
    bool is_last;

    pthread_mutex_lock(&client->inodes_lock);
    is_last = --inode->references == 0;
    if (is_last && table_get(&client->inodes, inode->ino) == inode)
        table_remove(&client->inodes, inode->ino);
    pthread_mutex_unlock(&client->inodes_lock);
    if (is_last)
        inode_free(inode);
}

void client_inode_lose(struct client_inode *inode)
{
    struct client *client = inode->client;

    pthread_mutex_lock(&client->inodes_lock);
    atomic_store(&inode->is_lost, true);
    if (table_get(&client->inodes, inode->ino) == inode)
        table_remove(&client->inodes, inode->ino);
    pthread_mutex_unlock(&client->inodes_lock);
}

void client_inode_cuts_note(struct client_inode *inode, const struct wire_attr *attr)
{
    uint64_t known = atomic_load(&inode->cuts);

    while (attr->cuts > known
           && !atomic_compare_exchange_weak(&inode->cuts, &known, attr->cuts))
        continue;
}

void client_inode_report_add(struct client_inode *inode, struct client_report report)
{
    if (report.end == 0 && report.mtime_ns == 0)
        return;
    pthread_mutex_lock(&inode->report_lock);
    inode->n_reports++;
    /* these two stay together: the home tells by `cuts` whether the file was cut since
     * that write, and a later write elsewhere says nothing about that */
    if (report.end > inode->report.end) {
        inode->report.end = report.end;
        inode->report.cuts = report.cuts;
    }
    if (report.mtime_ns > inode->report.mtime_ns)
        inode->report.mtime_ns = report.mtime_ns;
    pthread_mutex_unlock(&inode->report_lock);
}

struct client_report client_inode_report_take(struct client_inode *inode)
{
    struct client_report report;

    pthread_mutex_lock(&inode->report_lock);
    report = inode->report;
    inode->report = (struct client_report){0};
    pthread_mutex_unlock(&inode->report_lock);
    return report;
}

uint64_t client_inode_reports_count(struct client_inode *inode)
{
    uint64_t count;

    pthread_mutex_lock(&inode->report_lock);
    count = inode->n_reports;
    pthread_mutex_unlock(&inode->report_lock);
    return count;
}

void client_inode_report_overrule(struct client_inode *inode,
                                  uint64_t count,
                                  uint32_t setattr_mask)
{
    pthread_mutex_lock(&inode->report_lock);
    if (inode->n_reports == count) {
        if (setattr_mask & SETATTR_SIZE)
            inode->report.end = 0;
        inode->report.mtime_ns = 0;
    }
    pthread_mutex_unlock(&inode->report_lock);
}
