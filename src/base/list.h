/* list.h - a list through the members `prev` and `next` of its elements.
 *
 * `first` points to the first element, NULL for an empty list. Any element can be removed without a
 * search; an element is in one list at a time. No function allocates.
 */
#pragma once

#include "base/base.h"

/* Adds `element` at the front. */
#define LIST_ADD(first, element)                                                                   \
    do {                                                                                           \
        (element)->prev = NULL;                                                                    \
        (element)->next = (first);                                                                 \
        if ((first) != NULL)                                                                       \
            (first)->prev = (element);                                                             \
        (first) = (element);                                                                       \
    } while (0)

/* Removes `element`; its `next` still leads to the rest. */
#define LIST_REMOVE(first, element)                                                                \
    do {                                                                                           \
        if ((first) == (element))                                                                  \
            (first) = (element)->next;                                                             \
        else                                                                                       \
            (element)->prev->next = (element)->next;                                               \
        if ((element)->next != NULL)                                                               \
            (element)->next->prev = (element)->prev;                                               \
    } while (0)
