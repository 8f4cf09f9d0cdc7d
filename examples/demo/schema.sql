-- SPDX-License-Identifier: Apache-2.0
-- A shop with a year of orders. orders.email is asked for and has no index: that is the slow query.
CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, price numeric(8, 2) NOT NULL);
CREATE TABLE cart_items (cart_id integer NOT NULL, item_id integer NOT NULL,
                         PRIMARY KEY (cart_id, item_id));
CREATE TABLE orders (id integer PRIMARY KEY, email text NOT NULL, total numeric(8, 2) NOT NULL,
                     placed_at timestamptz NOT NULL, note text NOT NULL);

INSERT INTO items SELECT n, 'item ' || n, (n % 500) + 0.99 FROM generate_series(1, 2000) n;
INSERT INTO cart_items SELECT c, 1 + (c * 37 + n * 53) % 2000
    FROM generate_series(1, 20) c, generate_series(1, 40) n ON CONFLICT DO NOTHING;
INSERT INTO orders
    SELECT n, 'customer' || n % 50000 || '@example.org', (n % 900) + 0.5,
           timestamptz '2026-01-01' + n * interval '30 seconds', repeat('gift wrap, please. ', 8)
    FROM generate_series(1, 800000) n;
VACUUM ANALYZE;
