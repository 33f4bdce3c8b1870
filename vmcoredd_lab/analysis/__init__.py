"""What the data mean: findings, and the signature by which crashes are grouped. Tables in, tables out."""
