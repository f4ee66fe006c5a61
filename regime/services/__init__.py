"""Services of the regime cache: the writing cycle, the collection, macro answers, the TTL backfill and inspection."""
